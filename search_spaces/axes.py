"""Axes of a volume that differ: which of them a network halves, at which of its steps.

A network halves its maps step by step; its resolution r is the one after r steps, 0 the input's.
The rules are those of nnU-Net's plan (Isensee 2021, Suppl. Note 4): an axis with long voxels is
not halved, and no convolution reaches along it, until the others have caught up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

Sizes = tuple[int, ...]
ALWAYS = 32  # more steps than any network has
LEAST = 4  # voxels that are left along an axis, where spacings differ (nnU-Net's least edge)


class AxesError(ValueError):
    """A record that says no way to halve axes."""


@dataclass(frozen=True)
class Axes:
    """For each of D, H, W: it is halved from step `starts` on, and no longer from step `stops` on.

    Steps are counted from 0. By default every step halves every axis. In a patch of 16 x 128 x 128
    voxels of 10 x 1.5 x 1.5 mm (`axes_for`) D waits for two steps and is then halved twice, to 4
    voxels: starts (2, 0, 0), stops (4, 5, 5).

        step                 0          1          2          3          4
        divides D, H, W by   1, 2, 2    1, 2, 2    2, 2, 2    2, 2, 2    1, 2, 2
    """

    starts: Sizes = (0, 0, 0)
    stops: Sizes = (ALWAYS,) * 3

    def __post_init__(self) -> None:
        for name, value in (("starts", self.starts), ("stops", self.stops)):
            whole = all(type(n) is int and 0 <= n <= ALWAYS for n in value)
            if len(value) not in (2, 3) or len(value) != len(self.starts) or not whole:
                raise AxesError(f"axes.{name} = {list(value)}; expected a step for each axis")

    def plane(self) -> Axes:
        """The last two axes, for networks of slices: the finer one of them waits for no other."""
        waited = min(self.starts[-2:])
        return Axes(
            tuple(start - waited for start in self.starts[-2:]),
            tuple(max(0, stop - waited) for stop in self.stops[-2:]),
        )

    def step(self, index: int) -> Sizes:
        """The factor, 1 or 2, by which step `index` divides each axis."""
        return self.between(index, index + 1)

    def between(self, fine: int, coarse: int) -> Sizes:
        """The factors by which the steps from resolution `fine` to `coarse` divide the axes."""
        spans = zip(self.starts, self.stops, strict=True)
        return tuple(2 ** max(0, min(coarse, stop) - max(fine, start)) for start, stop in spans)

    def kernel(self, resolution: int) -> Sizes:
        """Of a 3^3 convolution at that resolution: 1 along axes that are still waiting."""
        return tuple(3 if resolution >= start else 1 for start in self.starts)

    def halving(self, steps: int) -> bool:
        """Whether each of so many steps halves an axis."""
        return all(max(self.step(index)) > 1 for index in range(steps))

    def canonical(self, steps: int) -> Axes:
        """What a network of so many steps sees of it; equal for equal networks."""
        starts = tuple(min(start, steps + 1) for start in self.starts)
        stops = tuple(
            max(start, min(stop, steps)) for start, stop in zip(starts, self.stops, strict=True)
        )
        if not any(starts) and all(stop == steps for stop in stops):
            return ALIKE
        return Axes(starts, stops)

    def to_json(self) -> dict[str, list[int]]:
        """`{"starts": [0, 0, 2], "stops": [4, 4, 3]}`."""
        return {"starts": list(self.starts), "stops": list(self.stops)}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """The inverse of `to_json`. Raises AxesError."""
        if not isinstance(values, Mapping) or set(values) != {"starts", "stops"}:
            raise AxesError(f"axes = {values!r}; expected starts and stops")
        for name, value in values.items():
            if not isinstance(value, list | tuple):
                raise AxesError(f"axes.{name} = {value!r}; expected a step for each axis")
        return cls(tuple(values["starts"]), tuple(values["stops"]))


ALIKE = Axes()


def axes_for(spacing: Sequence[float] | None, patch: Sequence[int]) -> Axes:
    """How networks halve a patch (D, H, W) of voxels of that size, mm; None: all axes alike.

    An axis waits until its voxels are at most twice as long as the finest ones, and stops where
    its length is odd or, where an axis waits, where halving would leave fewer than `LEAST` voxels.
    """
    ratios = [1.0] * len(patch) if spacing is None else [s / min(spacing) for s in spacing]
    starts = tuple(max(0, math.ceil(math.log2(ratio) - 1e-6) - 1) for ratio in ratios)
    least = LEAST if any(starts) else 1
    halvings = [_halvings(length, least) for length in patch]
    return Axes(starts, tuple(min(s + h, ALWAYS) for s, h in zip(starts, halvings, strict=True)))


def by_axis(sizes: Sequence[int]) -> str:
    """For messages: `8` where all are alike, else `8 x 8 x 2`."""
    return " x ".join(map(str, sizes if len(set(sizes)) > 1 else sizes[:1]))


def _halvings(length: int, least: int) -> int:
    """How often the length can be halved to whole numbers of at least that many voxels."""
    count = 0
    while length % 2 == 0 and length // 2 >= least:
        length, count = length // 2, count + 1
    return count
