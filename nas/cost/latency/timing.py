"""Passes timed in turns, and what their times say. Nothing here knows what a pass is."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING

import numpy as np

from search_spaces.garbage import gc_disabled

if TYPE_CHECKING:  # a device agent measures without PyTorch
    import torch

TURN = 5  # passes of one network before the next has its turn
LEAST = 3  # passes of a run, however long they last
ATTEMPTS = 3
TOLERANCE = 0.05  # of the noise; above it, all is measured again

Work = Callable[[], object]
Stopwatch = Callable[[Work], float]  # does the work, gives its milliseconds
Pass = Callable[[], float]  # one pass, in milliseconds


def wall_clock(work: Work) -> float:
    """Milliseconds of what is done when the call returns."""
    started = perf_counter_ns()
    work()
    return (perf_counter_ns() - started) / 1e6


def cuda_clock(device: torch.device) -> Stopwatch:
    """Milliseconds on the device's current stream, by events, from an idle device on."""
    import torch

    def milliseconds(work: Work) -> float:
        stream = torch.cuda.current_stream(device)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        start.record(stream)
        work()
        end.record(stream)
        end.synchronize()
        return start.elapsed_time(end)

    return milliseconds


def stopwatch(device: torch.device) -> Stopwatch:
    """How PyTorch's own work is timed on `device`."""
    return cuda_clock(device) if device.type == "cuda" else wall_clock


@dataclass(frozen=True)
class Sample:
    """The milliseconds of every counted pass of two runs of one network."""

    first: tuple[float, ...]
    second: tuple[float, ...]

    @property
    def times(self) -> tuple[float, ...]:
        """Those of both runs."""
        return self.first + self.second

    @property
    def noise(self) -> float:
        """The difference of the two medians, relative to their mean."""
        one, other = np.median(self.first), np.median(self.second)
        return float(abs(one - other) / ((one + other) / 2))


def take_samples(passes: Sequence[Pass], warmup: int, repeats: int, seconds: float) -> list[Sample]:
    """Two runs of every network, interleaved with the others', after a warm-up of each.

    Where a run of a network differs from its other one by more than TOLERANCE, something has
    disturbed the machine: all networks are measured again, ATTEMPTS times at most, and the attempt
    whose worst noise is least is kept as a whole, so that what disturbs one disturbs all.
    """
    for take in passes:
        for _ in range(warmup):
            take()

    def attempt() -> list[Sample]:
        runs = [interleave(passes, repeats, seconds) for _ in range(2)]
        return [Sample(tuple(a), tuple(b)) for a, b in zip(*runs, strict=True)]

    return quietest(attempt)


def quietest(attempt: Callable[[], list[Sample]]) -> list[Sample]:
    """The first attempt whose noise is within TOLERANCE, else the best of ATTEMPTS."""
    taken: list[list[Sample]] = []
    while len(taken) < ATTEMPTS:
        taken.append(attempt())
        if _worst(taken[-1]) <= TOLERANCE:
            return taken[-1]
    return min(taken, key=_worst)


def _worst(samples: Sequence[Sample]) -> float:
    return max(sample.noise for sample in samples)


def interleave(
    passes: Sequence[Pass], repeats: int, seconds: float, turn: int = TURN, settle: bool = True
) -> list[list[float]]:
    """One run of every network, `turn` passes of each at a time: a drift of the machine hits all.

    A run ends after `repeats` passes, or once the counted ones took `seconds`, but not before
    LEAST. With others in between, a turn begins with a pass that is not counted, to `settle`: it
    finds the caches full of another network.
    """
    times: list[list[float]] = [[] for _ in passes]

    def ended(index: int) -> bool:
        taken = times[index]
        return len(taken) >= repeats or (len(taken) >= LEAST and sum(taken) >= seconds * 1e3)

    while waiting := [index for index in range(len(passes)) if not ended(index)]:
        for index in waiting:
            if settle and len(passes) > 1:
                passes[index]()
            for _ in range(turn):
                if not ended(index):
                    times[index].append(passes[index]())
    return times


@contextmanager
def threads_set(threads: int) -> Iterator[None]:
    """So many threads of PyTorch within, as many as before after."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def memory_settled() -> Iterator[None]:
    """Garbage is collected and CUDA's cache emptied before; neither is done within."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    with gc_disabled():
        yield
