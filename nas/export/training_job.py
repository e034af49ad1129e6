"""One training of an exported network: all that a process needs to do it, here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal

import torch
from torch import nn

from nas.cost.recompute import free_memory, keep_where_it_fits
from nas.export.export_folder import INHERITED_WEIGHTS, TRIAL_WEIGHTS, Export
from nas.pareto.result import known
from trainers.checkpoint import load_weights
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.distillation import Distillation
from trainers.fake_quantise import fake_quantise
from trainers.feature_distillation import FeatureDistillation
from trainers.parallel import ALONE, Worker
from trainers.precision import autocast
from trainers.segmenter import best_device
from trainers.step import channels_last
from trainers.trainer import EpochReport, Trainer

Start = Literal["scratch", "trial", "inherited"]
BEGINNINGS = {"trial": TRIAL_WEIGHTS, "inherited": INHERITED_WEIGHTS}
Report = Callable[[EpochReport], object]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training of an export's network on these cases.

    `volumes`: the folder of the cached volumes. `checkpoint`: the file that an interrupted training
    goes on from, and that holds the weights in the end. `start`: `scratch` begins with new weights
    drawn by `seed`, `trial` with those of the search's trial, `inherited` with those that the trial
    began with, of a supernet. `teacher`: the export that the network is distilled from, if any.
    `quantise_aware`: it computes in training as in int8.
    """

    export: Export
    volumes: Path
    cases: Cases
    checkpoint: Path
    seed: int
    start: Start = "scratch"
    teacher: Export | None = None
    quantise_aware: bool = False

    def absolute(self) -> Job:
        """The same for processes that work in other folders, as those of a Ray cluster do."""
        return replace(
            self,
            export=self.export.absolute(),
            checkpoint=self.checkpoint.absolute(),
            teacher=self.teacher and self.teacher.absolute(),
        )


@dataclass(frozen=True)
class Outcome:
    """A finished training. `curve`: the mean Dice of every validation; `dice`: of the last one.

    What no validation case has a class for is None. `seconds`: of all sessions that trained it.
    """

    epochs: int
    dice: float | None
    dice_per_class: Mapping[str, float | None]
    curve: tuple[float, ...]
    seconds: float


Train = Callable[[Job, Report], Outcome]


def train_here(job: Job, report: Report) -> Outcome:
    """`train` in this process, on its GPU where there is one."""
    return train(job, report, best_device())


def train(job: Job, report: Report, device: torch.device, worker: Worker = ALONE) -> Outcome:
    """Train the whole schedule, or the rest of it; the weights are then in the job's checkpoint.

    `report` is called after every epoch. All of several workers return the outcome, but only the
    first one validates, so that only its outcome has a Dice.
    """
    trainer = _trainer(job, device, worker)
    started, last = perf_counter(), None
    while not trainer.done:
        last = trainer.run_epoch()
        report(last)
    dice, per_class = (last.dice, last.dice_per_class) if last else (None, {})
    if last is None and job.cases.validation and worker.first:
        dice, per_class = trainer.validate()  # it had ended, and then its report was lost
    seconds = trainer.earlier + perf_counter() - started
    classes = {name: known(value) for name, value in per_class.items()}
    return Outcome(trainer.epoch, known(dice), classes, tuple(trainer.curve), seconds)


def _trainer(job: Job, device: torch.device, worker: Worker) -> Trainer:
    export, config = job.export, job.export.config.train
    torch.manual_seed(job.seed)
    network = export.build()
    task, targets = export.config.task, export.config.task.targets
    keep_where_it_fits(
        network,
        export.architecture,
        task.channels,
        targets.outputs,
        config,
        free_memory(device),
        teacher=None if job.teacher is None else job.teacher.architecture,
        targets=targets,
    )
    if file := BEGINNINGS.get(job.start):
        load_weights(network, export.folder / file)
    if job.quantise_aware:
        fake_quantise(network)
    network = channels_last(network.to(device))
    return Trainer(
        network,
        VolumeCache.open(job.volumes),
        job.cases,
        config,
        device=device,
        seed=job.seed,
        checkpoint=job.checkpoint,
        terms=_taught(job, network, device),
        worker=worker,
    )


def _taught(job: Job, network: nn.Module, device: torch.device) -> list[nn.Module]:
    if job.teacher is None:
        return []
    with torch.random.fork_rng([]):  # new weights of the student are drawn as without a teacher
        teacher = job.teacher.network().to(device)
    train, targets = job.export.config.train, job.export.config.task.targets
    how = train.distillation
    terms: list[nn.Module] = [Distillation(teacher, how, partial(autocast, train, device), targets)]
    if how.features:
        terms.append(FeatureDistillation(network, teacher, how.features))
    return terms
