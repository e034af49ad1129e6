"""Ranges of rows that are worked on at a time, where all of a volume would take too much memory."""

from __future__ import annotations

from collections.abc import Iterator

AT_ONCE = 2**23  # voxels: 32 MB of float32


def row_ranges(stop: int, voxels: int, start: int = 0) -> Iterator[slice]:
    """`start` to `stop` in ranges of rows, of `voxels` each, that have `AT_ONCE` at most."""
    step = max(1, AT_ONCE // voxels)
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))
