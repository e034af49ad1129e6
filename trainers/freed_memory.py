"""Memory that a process has freed, kept for what it allocates next."""

from __future__ import annotations

import ctypes
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_ of malloc.h
MOST = 2**31 - 1  # an int
OLD_MOST = 2**25  # what glibc took before 2.35


@cache
def keep_freed_memory() -> None:
    """Have glibc keep what is freed, however large; elsewhere nothing changes.

    By default it gives large tensors back to the system, which has to clear every page again for
    the next: thousands of page faults a step, up to two fifths of the time of a training on a CPU.
    What is computed stays the same. The process holds the most that it has needed until
    `give_back_freed_memory`.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(MMAP_THRESHOLD, MOST) or mallopt(MMAP_THRESHOLD, OLD_MOST)
        mallopt(TRIM_THRESHOLD, MOST)


def give_back_freed_memory() -> None:
    """Give the system what is free now: before something else that needs less, or another process
    that needs more."""
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)
