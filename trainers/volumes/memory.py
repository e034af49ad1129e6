"""The memory that this process may use: that of its container, not of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
# Files of the most bytes and of the bytes in use, and what among these are pages of files, which
# give way; in both versions of Linux's control groups.
VERSION_2 = "memory.max", "memory.current", "memory.stat", "inactive_file"
VERSION_1 = (
    "memory/memory.limit_in_bytes",
    "memory/memory.usage_in_bytes",
    "memory/memory.stat",
    "total_inactive_file",
)


def total_memory(cgroups: Path = CGROUPS) -> int:
    """Bytes of memory, of which others may use some."""
    return min([psutil.virtual_memory().total, *(most for most, _ in _limits(cgroups))])


def free_memory(cgroups: Path = CGROUPS) -> int:
    """Bytes of memory that can be taken now."""
    left = (max(0, most - used) for most, used in _limits(cgroups))
    return min([psutil.virtual_memory().available, *left])


def _limits(cgroups: Path) -> Iterator[tuple[int, int]]:
    """Most bytes and bytes in use, of each version that sets a limit."""
    for most, used, kinds, gives_way in (VERSION_2, VERSION_1):
        try:
            limit = int((cgroups / most).read_text())
            taken = int((cgroups / used).read_text())
            kept = dict(line.split() for line in (cgroups / kinds).read_text().splitlines())
            yield limit, taken - int(kept[gives_way])
        except (OSError, ValueError, KeyError):  # no limit (`max`), no container, no Linux
            continue
