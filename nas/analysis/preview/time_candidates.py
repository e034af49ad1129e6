"""Trains a few candidates a little, as many at a time as the search will: they slow each other."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from time import monotonic, perf_counter

import torch
from torch import nn

from nas.analysis.preview.parallel import begin_process, preloaded
from nas.cost.failure import reason_of
from nas.cost.recompute import free_memory, keep_where_it_fits
from search_spaces.space import Architecture
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.check.facts import Progress
from trainers.data.splits import Cases
from trainers.precision import autocast
from trainers.single_image import onednn_for_single_images
from trainers.step.cuda_graphs import WARM_UP as CAPTURED_AFTER
from trainers.trainer import Trainer
from trainers.validation import score_cases
from trainers.volumes.window_grid import window_interval

WARM_UP = 2  # steps that are not counted; on a GPU also those that are captured
FEWEST, MOST = 3, 40  # steps that are
STEP_SECONDS = 0.8  # about, of counted steps
WINDOW_SECONDS = 0.3  # at least, of counted validation
VALIDATION_CASES = 4


@dataclass(frozen=True)
class Timing:
    """Seconds of one training step, and of one window of a validation."""

    step: float
    window: float


@dataclass(frozen=True)
class Workload:
    """The cases and the recipe of a search; what a trial gets, and how it gives way: `niceness`."""

    cache: VolumeCache
    cases: Cases
    train: TrainConfig
    seed: int
    threads: int
    gpu: bool
    niceness: int = 0

    @property
    def windows(self) -> int:
        """Windows of one validation: of all its cases together."""
        return sum(count_windows(self.cache.shape(n), self.train) for n in self.cases.validation)


def time_candidates(
    candidates: Sequence[Architecture],
    workload: Workload,
    slots: int,
    least: int,
    seconds: float,
    progress: Progress,
) -> dict[int, Timing | str]:
    """The timings by position, or why there is none; `slots` at a time, a process for each.

    After `seconds` no other one is begun, but the first `least` always are.
    """
    deadline = monotonic() + seconds

    def time_next(position: int) -> Timing | str | None:
        if position >= least and monotonic() > deadline:
            return None
        return _in_a_process(candidates[position], workload, position % slots)

    found: dict[int, Timing | str] = {}
    with ThreadPoolExecutor(slots) as pool:
        for position, outcome in enumerate(pool.map(time_next, range(len(candidates)))):
            if outcome is not None:
                found[position] = outcome
            progress(position + 1, len(candidates), "candidates timed")
    return found


def _in_a_process(architecture: Architecture, workload: Workload, slot: int) -> Timing | str:
    with ProcessPoolExecutor(1, preloaded(), begin_process, (workload.threads,)) as process:
        try:
            return process.submit(_timing_or_reason, architecture, workload, slot).result()
        except BrokenProcessPool:  # it was killed, as the system does where memory runs out
            return "its process died"


def _timing_or_reason(architecture: Architecture, workload: Workload, slot: int) -> Timing | str:
    if hasattr(os, "nice"):
        os.nice(workload.niceness)
    device = torch.device("cpu")
    if workload.gpu:
        device = torch.device("cuda", slot % torch.cuda.device_count())
    try:
        return time_candidate(architecture, workload, device)
    except Exception as error:  # the network's own fault: the search would record it
        return reason_of(error)


def time_candidate(architecture: Architecture, workload: Workload, device: torch.device) -> Timing:
    """Train for a few steps and predict a few windows."""
    trainer = short_trainer(architecture, workload, device)
    warm = warm_up(trainer)
    steps = min(max(round(STEP_SECONDS / warm), FEWEST), MOST)
    step = epoch_seconds(trainer, steps) / steps
    with autocast(workload.train, device), onednn_for_single_images(trainer.network):
        return Timing(step, _window_seconds(trainer.network.eval(), workload))


def short_trainer(architecture: Architecture, workload: Workload, device: torch.device) -> Trainer:
    """Trains a candidate as the search would, but for validation."""
    cache, cases, train, seed = workload.cache, workload.cases, workload.train, workload.seed
    torch.manual_seed(seed)
    task = cache.channels, cache.targets.outputs
    network = architecture.build(*task)
    free = free_memory(device)
    keep_where_it_fits(network, architecture, *task, train, free, targets=cache.targets)
    without = replace(cases, validation=())
    return Trainer(network, cache, without, train, device=device, seed=seed)


def warm_up(trainer: Trainer) -> float:
    """Train the steps that are not counted; the seconds of one of them."""
    first = WARM_UP + (CAPTURED_AFTER + 1 if trainer.device.type == "cuda" else 0)
    return epoch_seconds(trainer, first) / first


def epoch_seconds(trainer: Trainer, steps: int) -> float:
    """The seconds of an epoch of so many steps."""
    trainer.config = trainer.config.model_copy(update={"steps_per_epoch": steps})
    return trainer.run_epoch().seconds


def _window_seconds(network: nn.Module, workload: Workload) -> float:
    """Seconds a window of predicting and scoring; of every case a corner of two windows at most.

    A whole volume of a large data set would take minutes.
    """
    cache, train = workload.cache, workload.train
    depth, height, width = train.patch
    depth += window_interval(depth, train.overlap)
    names = workload.cases.validation[:VALIDATION_CASES]
    images = [cache.image(name)[:, :depth, :height, :width] for name in names]
    labels = [cache.label(name)[:depth, :height, :width] for name in names]
    windows = sum(count_windows(label.shape, train) for label in labels)

    def validate() -> None:
        score_cases(network, images, labels, cache.targets, train.patch, train.overlap)

    validate()
    started, rounds = perf_counter(), 0
    while rounds == 0 or perf_counter() - started < WINDOW_SECONDS:
        validate()
        rounds += 1
    return (perf_counter() - started) / (rounds * windows)


def count_windows(shape: Sequence[int], train: TrainConfig) -> int:
    """Windows that cover one volume of that shape (D, H, W), as `predict_logits` lays them."""
    return math.prod(
        1 + math.ceil(max(length - window, 0) / window_interval(window, train.overlap))
        for length, window in zip(shape, train.patch, strict=True)
    )
