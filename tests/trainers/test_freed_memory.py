import ctypes

import pytest

from tests.processes import printed_by

SCRIPT = """
import resource, sys
import numpy as np
from trainers.freed_memory import give_back_freed_memory, keep_freed_memory

def faults(rounds=5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        np.ones(2**23)  # 64 MiB, 16,384 pages
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / rounds

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

usual = faults()
keep_freed_memory()
np.ones(2**23)
kept, held = faults(), resident()
give_back_freed_memory()
print(usual, kept, held - resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library is not glibc")
def test_large_arrays_are_made_of_memory_that_was_freed() -> None:
    usual, kept, given_back = map(float, printed_by(SCRIPT).split())
    assert usual > 10 * max(kept, 1)
    assert given_back > 2**25
