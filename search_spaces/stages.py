"""The stages of a network as a drawing shows them, read from its record: nothing is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from search_spaces.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The work at one resolution, on the way down or on the way up.

    `divisor`: the input's side over that of the stage's map, were all axes alike; `divisors`: that
    of each axis where they are not, see `along_axes`. `channels`: of the map it gives.
    `holds`: what is in it, a few words each. `layers`: of every transformer layer the parts that it
    keeps (both, mixer, mlp). `skip`: how a stage on the way up joins what comes across.
    """

    name: str
    side: Literal["down", "up"] = "down"
    divisor: int
    channels: int
    holds: Sequence[str] = ()
    layers: Sequence[str] = ()
    skip: str | None = None
    divisors: Sequence[int] = ()


def along_axes(stages: Sequence[Stage], axes: Axes) -> list[Stage]:
    """The stages with the divisor of each axis; divisors are powers of two."""
    return [replace(s, divisors=axes.between(0, s.divisor.bit_length() - 1)) for s in stages]


def several(count: int, word: str) -> str:
    """`1 conv`, `2 convs`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def ways_down(channels: Sequence[int], divisors: Sequence[int], *holds: str) -> list[Stage]:
    """The stages of an encoder that are all alike; `channels` and `divisors` of its maps."""
    return [
        Stage(name="encoder", divisor=d, channels=c, holds=holds)
        for c, d in zip(channels, divisors, strict=True)
    ]


def ways_up(
    channels: Sequence[int], divisors: Sequence[int], *holds: str, skip: str | None
) -> list[Stage]:
    """The stages of a decoder that are all alike, the deepest first. `channels` and `divisors` are
    those of its maps, the shallowest first."""
    return [
        Stage(name="decoder", side="up", divisor=d, channels=c, holds=holds, skip=skip)
        for c, d in reversed(list(zip(channels, divisors, strict=True)))
    ]
