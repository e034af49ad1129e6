"""How long a few candidates take to train, in as many processes side by side as the search has."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from time import monotonic, perf_counter
from typing import Any

import torch
from torch import nn

from nas.analysis.preview.processes import server, settle
from nas.analysis.preview.timing_bench import Bench
from nas.cost.failure import reason_of
from search_spaces.space import Architecture
from trainers.data.splits import Cases
from trainers.trainer import Trainer

WARM_UP = 2  # steps that are not counted
FEWEST, MOST = 3, 40  # steps that are
STEP_SECONDS = 0.8  # of counted steps
WINDOW_SECONDS = 0.3  # of counted validation

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Timing:
    """Seconds of one candidate: before its first step, of a step, of writing a checkpoint, and of
    one window of a validation, everything that belongs to it included."""

    setup: float
    step: float
    checkpoint: float
    window: float


@dataclass(frozen=True)
class Series:
    """Candidates in the order of their turns. After `seconds` no other one is begun, but `least`
    are always timed. `threads` and `gpu`: what a trial gets."""

    bench: Bench
    candidates: tuple[Architecture, ...]
    least: int
    seconds: float
    threads: int
    gpu: bool


def time_candidates(
    series: Series, slots: int, progress: Progress
) -> tuple[dict[int, Timing], dict[int, str]]:
    """The timings by position, and why others have none.

    A process that has nothing left to time trains on until all have ended, so that every timing is
    taken beside as many busy slots as in the search.
    """
    context = server()
    taken, finished = context.Value("i", 0), context.Event()
    deadline = monotonic() + series.seconds
    waiting: list[Any] = []
    processes = []
    for slot in range(min(slots, len(series.candidates))):
        ours, theirs = context.Pipe(duplex=False)
        arguments = (theirs, slot, series, deadline, taken, finished)
        process = context.Process(target=_run_slot, args=arguments, daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        waiting.append(ours)
    try:
        return _collect(waiting, len(series.candidates), progress)
    finally:
        finished.set()
        for process in processes:
            process.join(0.5)
            process.kill()


def _collect(
    waiting: list[Any], total: int, progress: Progress
) -> tuple[dict[int, Timing], dict[int, str]]:
    timings: dict[int, Timing] = {}
    failures: dict[int, str] = {}
    underway: dict[Any, int] = {}
    while waiting:
        for connection in wait(waiting):
            assert isinstance(connection, Connection)
            try:
                told = connection.recv()
            except EOFError:  # its process was killed, as the system does where memory runs out
                told = None
            match told:
                case int():
                    underway[connection] = told
                case Timing():
                    timings[underway.pop(connection)] = told
                case str():
                    failures[underway.pop(connection)] = told
                case None:
                    waiting.remove(connection)
                    if connection in underway:
                        failures[underway.pop(connection)] = "its process died"
            progress(len(timings) + len(failures), total, "candidates timed")
    return timings, failures


def _run_slot(
    connection: Connection, slot: int, series: Series, deadline: float, taken: Any, finished: Any
) -> None:
    settle(series.threads)
    device = torch.device("cpu")
    if series.gpu:
        device = torch.device("cuda", slot % torch.cuda.device_count())
        torch.cuda.set_device(device)
    trainer: Trainer | None = None
    while (position := _next(series, deadline, taken)) is not None:
        connection.send(position)
        trainer = None
        torch.cuda.empty_cache()
        try:
            timing, trainer = time_candidate(series.candidates[position], series.bench, device)
            connection.send(timing)
        except Exception as error:  # the network's own fault: the search would record it
            connection.send(reason_of(error))
    connection.send(None)
    with suppress(Exception):
        while trainer and not finished.is_set():
            _epoch(trainer, 1)


def _next(series: Series, deadline: float, taken: Any) -> int | None:
    """The position of the candidate whose turn it is; None where the time is up."""
    with taken.get_lock():
        position: int = taken.value
        late = position >= series.least and monotonic() > deadline
        if late or position == len(series.candidates):
            return None
        taken.value += 1
        return position


def time_candidate(
    architecture: Architecture, bench: Bench, device: torch.device
) -> tuple[Timing, Trainer]:
    """Train and validate a little; the trainer can go on with steps."""
    started = perf_counter()
    torch.manual_seed(bench.seed)
    network = architecture.build(bench.cache.channels, len(bench.cache.classes))
    trainer = _trainer(network, bench, replace(bench.cases, validation=()), device)
    setup = perf_counter() - started
    warm = _epoch(trainer, WARM_UP) / WARM_UP
    count = min(max(round(STEP_SECONDS / warm), FEWEST), MOST)
    step = _epoch(trainer, count) / count
    trainer.checkpoint = bench.scratch / f"{os.getpid()}.pt"
    checkpoint = max(_epoch(trainer, 1) - step, 0.0)
    trainer.checkpoint = None
    return Timing(setup, step, checkpoint, _time_window(network, bench, device)), trainer


def _trainer(network: nn.Module, bench: Bench, cases: Cases, device: torch.device) -> Trainer:
    return Trainer(network, bench.cache, cases, bench.train, device=device, seed=bench.seed)


def _epoch(trainer: Trainer, steps: int) -> float:
    """The seconds of an epoch of so many steps."""
    trainer.config = trainer.config.model_copy(update={"steps_per_epoch": steps})
    return trainer.run_epoch().seconds


def _time_window(network: nn.Module, bench: Bench, device: torch.device) -> float:
    """The seconds that a validation takes for each of its windows."""
    short = bench.shortened()
    judge = _trainer(network, short, short.cases, device)
    judge.validate()
    started, rounds = perf_counter(), 0
    while rounds == 0 or perf_counter() - started < WINDOW_SECONDS:
        judge.validate()
        rounds += 1
    return (perf_counter() - started) / (rounds * short.windows())
