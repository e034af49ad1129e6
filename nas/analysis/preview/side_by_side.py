"""How many trials should share a GPU: steps a second of one, two, four of them side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.managers import SyncManager
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import torch

from nas.analysis.preview.parallel import begin_process, preloaded
from nas.analysis.preview.time_candidates import (
    FEWEST,
    Workload,
    epoch_seconds,
    short_trainer,
    warm_up,
)
from nas.cost.failure import reason_of
from search_spaces.space import Architecture
from trainers.data.check.facts import Progress

MOST = 16  # trials on a GPU
GAIN = 1.1  # times the steps a second, which twice as many trials have to make together
SECONDS = 1.0  # about, of counted steps
STEPS = 400  # of these at most
PATIENCE = 300.0  # seconds until all processes have warmed up, or the slowest is given up


@dataclass(frozen=True)
class SideBySide:
    """`rates`: training steps a second of all trials on one device together, by their number: 1, 2,
    4 and so on, as far as it was worth it and none failed. `failure`: why one did."""

    rates: Mapping[int, float]
    failure: str | None = None

    @property
    def best(self) -> int:
        """The number of trials of which twice as many are not `GAIN` times as fast together."""
        best = 1
        while 2 * best in self.rates and self.rates[2 * best] >= GAIN * self.rates[best]:
            best *= 2
        return best

    @property
    def gpus(self) -> float:
        """`resources.gpus` for `best` trials on a GPU."""
        return 1 / self.best


def measure_side_by_side(
    architecture: Architecture, workload: Workload, most: int, progress: Progress
) -> SideBySide:
    """Train one candidate in 1, 2, 4, ... up to `most` processes at the same time, on one device.

    It ends where twice as many are not worth it, or where one fails, as where memory runs out.
    """
    counts = [1 << power for power in range(min(most, MOST).bit_length())]
    rates: dict[int, float] = {}
    for done, count in enumerate(counts):
        rate = _rate_together(architecture, workload, count)
        progress(done + 1, len(counts), "numbers of trials side by side timed")
        if isinstance(rate, str):
            return SideBySide(rates, rate)
        rates[count] = rate
        if count > 1 and rate < GAIN * rates[count // 2]:
            break
    return SideBySide(rates)


def _rate_together(architecture: Architecture, workload: Workload, count: int) -> float | str:
    """Steps a second of `count` processes together, or why one of them failed."""
    manager = SyncManager(ctx=preloaded())
    manager.start(begin_process)  # which ends with this process, too
    with (
        manager,
        ProcessPoolExecutor(count, preloaded(), begin_process, (workload.threads,)) as pool,
    ):
        ready = manager.Barrier(count)
        started = [
            pool.submit(_rate_or_reason, architecture, workload, ready) for _ in range(count)
        ]
        try:
            found = [process.result() for process in started]
        except BrokenProcessPool:  # one was killed, as the system does where memory runs out
            return "its process died"
    reasons = [one for one in found if isinstance(one, str)]
    if reasons:
        return next(filter(None, reasons), f"they were not ready within {PATIENCE:g} s")
    return sum(one for one in found if isinstance(one, float))


def _rate_or_reason(architecture: Architecture, workload: Workload, ready: Barrier) -> float | str:
    """Steps a second of this process while all train, or why not; empty where another failed."""
    try:
        device = torch.device("cuda", 0) if workload.gpu else torch.device("cpu")
        trainer = short_trainer(architecture, workload, device)
        warm_up(trainer)
        step = epoch_seconds(trainer, FEWEST) / FEWEST
        steps = min(max(round(SECONDS / step), FEWEST), STEPS)
        ready.wait(PATIENCE)
        return steps / epoch_seconds(trainer, steps)
    except BrokenBarrierError:
        return ""
    except Exception as error:  # the network's own fault, or too little memory for so many
        ready.abort()
        return reason_of(error)


def mps_is_running() -> bool:
    """Whether NVIDIA's Multi-Process Service takes work on this machine: its pipe is there."""
    folder = os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")
    return (Path(folder) / "control").is_fifo()
