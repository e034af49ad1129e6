"""From one grid to another of parallel axes, an axis at a time and a slab of the result at a time.

As nnU-Net does it (Isensee et al. 2021, supplementary note 2): a strongly anisotropic axis is not
interpolated like the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .geometry import Grid, Shape3, voxel_sizes
from .rows import row_ranges, to_front

ANISOTROPY = 3.0  # times the finest spacing; ANISO_THRESHOLD of nnU-Net
DIGITS = 6  # of a coordinate in voxels; what is beyond is rounding

Orders = tuple[int, int, int]
"""Of the interpolation along each axis: 0 nearest, 1 linear, 3 cubic."""


def orders(source: Grid, target: Grid, order: int, across: int) -> Orders:
    """`order` along each axis, `across` along the one that is strongly anisotropic.

    That axis alone has a spacing over three times the finest, in either grid.
    """
    for grid in (source, target):
        sizes = voxel_sizes(grid.affine)
        coarse = sizes > ANISOTROPY * sizes.min()
        if coarse.sum() == 1:
            x, y, z = (across if is_coarse else order for is_coarse in coarse)
            return x, y, z
    return order, order, order


@dataclass(frozen=True)
class Taps:
    """Along one axis, the voxels that each new voxel is a weighted sum of.

    `index`, `weight`: (new length, taps). What is beyond the border is as the border.
    """

    index: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, where: np.ndarray, length: int, order: int) -> Taps:
        """`where`: the place of each new voxel, in voxels of the old axis of `length`.

        Cubic is Keys' convolution (1981, a = -1/2), which gives quadratic functions back exactly
        and needs four neighbours, not a filter along the whole axis.
        """
        if order == 0:
            index, weight = np.floor(where + 0.5)[:, None], np.ones((len(where), 1))
        else:
            reach = np.arange(0, 2) if order == 1 else np.arange(-1, 3)
            index = np.floor(where)[:, None] + reach
            far = np.abs(where[:, None] - index)
            weight = 1 - far if order == 1 else _keys(far)
        return cls(np.clip(index, 0, length - 1).astype(np.intp), weight.astype(np.float32))

    def __getitem__(self, rows: slice) -> Taps:
        return Taps(self.index[rows], self.weight[rows])

    @property
    def reach(self) -> slice:
        """The old voxels that are read."""
        return slice(int(self.index.min()), int(self.index.max()) + 1)

    def apply(self, values: np.ndarray, axis: int, first: int = 0) -> np.ndarray:
        """values: float32, of which the old voxel `first` is the first along the axis."""
        shape = [-1 if axis == other else 1 for other in range(values.ndim)]
        index = self.index - first
        total = np.take(values, index[:, 0], axis)
        total *= self.weight[:, 0].reshape(shape)
        for tap in range(1, index.shape[1]):
            part = np.take(values, index[:, tap], axis)
            part *= self.weight[:, tap].reshape(shape)
            total += part
        return total


@dataclass(frozen=True)
class Resampling:
    """The way from a grid of `source` voxels to one of `shape`. `taps`: None along an axis that
    stays as it is."""

    source: Shape3
    shape: Shape3
    taps: tuple[Taps | None, Taps | None, Taps | None]

    @classmethod
    def between(cls, source: Grid, target: Grid, orders: Orders) -> Resampling:
        """Raises ValueError where the axes of the grids are not parallel."""
        sizes, spacing = voxel_sizes(source.affine), voxel_sizes(target.affine)
        axes = source.affine[:3, :3] / sizes
        if not np.allclose(axes, target.affine[:3, :3] / spacing, atol=1e-3):
            raise ValueError(f"grids whose axes are not parallel:\n{source}\n{target}")
        first = np.linalg.solve(axes, target.affine[:3, 3] - source.affine[:3, 3]) / sizes
        x, y, z = (
            _taps(*along)
            for along in zip(
                spacing / sizes, first, source.shape, target.shape, orders, strict=True
            )
        )
        return cls(source.shape, target.shape, (x, y, z))

    @classmethod
    def by_axis(cls, source: Grid, target: Grid, order: int, across: int) -> Resampling:
        """Of those `orders`."""
        return cls.between(source, target, orders(source, target, order, across))

    @property
    def identity(self) -> bool:
        """The grids are one and the same."""
        return not any(self.taps)

    def slices(self, start: int = 0, stop: int | None = None, held: int = 1) -> Iterator[slice]:
        """Ranges of the result's first axis, one after the other, small enough for memory.

        Of all of it, or of `start` to `stop`. `held`: results that are in memory at a time.
        """
        voxels = held * max(math.prod(self.shape[1:]), math.prod(self.source[1:]))
        return row_ranges(self.shape[0] if stop is None else stop, voxels, start)

    def reads(self, rows: slice) -> slice:
        """The range of the source's first axis that `rows` of the result depend on."""
        return self.taps[0][rows].reach if self.taps[0] else rows

    def ready(self, stop: int) -> int:
        """How many rows of the result depend on none from `stop` on of the source's first axis."""
        return int(np.searchsorted(self.taps[0].index[:, -1], stop)) if self.taps[0] else stop

    def along(self, axis: int) -> Resampling:
        """The same for volumes whose `axis` was moved to the front of the other two."""
        (a, b, c), (d, h, w) = (to_front(shape, axis) for shape in (self.source, self.shape))
        x, y, z = to_front(self.taps, axis)
        return Resampling((a, b, c), (d, h, w), (x, y, z))

    def slab(self, read: np.ndarray, rows: slice) -> np.ndarray:
        """`rows` of the result, (len, H, W) float32, equal digit for digit however it is cut.

        read: the source's voxels in `reads(rows)`, of any type.
        """
        values = np.asarray(read, np.float32)
        for axis in self._order:
            if (taps := self.taps[axis]) and axis == 0:
                values = taps[rows].apply(values, axis, first=self.reads(rows).start)
            elif taps:
                values = taps.apply(values, axis)
        return values

    def __call__(self, values: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
        """(D, H, W) of the source -> float32 of `shape`; `into`: where it is written to."""
        result = np.empty(self.shape, np.float32) if into is None else into
        for rows in self.slices():
            result[rows] = self.slab(values[self.reads(rows)], rows)
        return result

    @cached_property
    def _order(self) -> list[int]:
        """The axis that shrinks most comes first."""
        return sorted(range(3), key=lambda axis: self.shape[axis] / self.source[axis])


def argmax_slab(reads: Iterable[np.ndarray], resampling: Resampling, rows: slice) -> np.ndarray:
    """The class of the largest score in `rows` of the result, (len, H, W); the first of equals.

    reads: of each class, its scores in `resampling.reads(rows)` of the source. One class of one
    slab is in memory at a time: (volume[resampling.reads(rows)] for volume in logits).
    """
    found = np.zeros((rows.stop - rows.start, *resampling.shape[1:]), np.int32)
    best = np.full(found.shape, -np.inf, np.float32)
    for index, read in enumerate(reads):
        values = resampling.slab(read, rows)
        better = values > best
        found[better] = index
        np.copyto(best, values, where=better)
    return found


def resample_labels(labels: np.ndarray, resampling: Resampling) -> np.ndarray:
    """(D, H, W) class numbers -> of `resampling.shape`, in their own type.

    The class with the largest share of each new voxel: every class is resampled as a mask of 0 and
    1, as nnU-Net does.
    """
    if resampling.identity:
        return labels
    result = np.empty(resampling.shape, labels.dtype)
    for rows in resampling.slices():
        read = labels[resampling.reads(rows)]
        classes = np.unique(read)
        result[rows] = classes[argmax_slab((read == c for c in classes), resampling, rows)]
    return result


def _keys(far: np.ndarray) -> np.ndarray:
    """Keys (1981), equation 15: weights at a distance of up to two voxels."""
    near = 1.5 * far**3 - 2.5 * far**2 + 1
    return np.where(far <= 1, near, -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2)


def _taps(scale: float, offset: float, old: int, new: int, order: int) -> Taps | None:
    where = np.round(scale * np.arange(new) + offset, DIGITS)
    if old == new and np.allclose(where, np.arange(new), rtol=0, atol=1e-4):
        return None
    return Taps.of(where, old, order)
