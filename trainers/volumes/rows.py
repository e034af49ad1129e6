"""Rows of a volume, worked on in ranges where all of them would take too much memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
AT_ONCE = 2**23  # voxels: 32 MB of float32


def row_ranges(stop: int, voxels: int, start: int = 0) -> Iterator[slice]:
    """`start` to `stop` in ranges of rows, of `voxels` each, that have `AT_ONCE` at most."""
    step = max(1, AT_ONCE // voxels)
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))


def to_front(of_axes: Sequence[Item], axis: int) -> list[Item]:
    """What there is for each axis, in the order in which rows along `axis` come first."""
    return [of_axes[axis], *(one for other, one in enumerate(of_axes) if other != axis)]
