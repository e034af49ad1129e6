"""The training of a search's supernet, an epoch a step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from nas.cost.failure import reason_of
from nas.engine.attempts import Attempts
from nas.engine.evaluator import Workspace
from nas.engine.report import Fidelity, Report
from nas.engine.supernet.draws import draws_within
from nas.engine.supernet.largest_within import LargestWithin
from search_spaces.supernet import Draws
from trainers.atomic import replace_files
from trainers.config import TrainConfig
from trainers.data.splits import Cases
from trainers.errors import GpuLostError, TrainingDivergedError
from trainers.parallel import ALONE, Worker
from trainers.supernet import SupernetTrainer
from trainers.supernet_recipe import SupernetRecipe

if TYPE_CHECKING:
    from nas.engine.supernet.jobs import SupernetJobs

EPOCHS = "epochs.json"  # beside the checkpoint: how many there was time for
VALIDATIONS = 10  # of a training, at most
TIMED_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class SupernetReport(Report):
    """How far the supernet is. `epochs`: of its whole training. `attempt`: whose file has what is
    told here, see `Attempts`; None where that is the checkpoint itself."""

    epochs: int = 0
    attempt: str | None = None


class TrainSupernet:
    """One training, which goes on from its checkpoint; `worker`: which of several processes this
    is that train together. `attempt`: what is saved is of that name; see `Attempts`."""

    def __init__(
        self,
        jobs: SupernetJobs,
        workspace: Workspace,
        worker: Worker = ALONE,
        attempt: str | None = None,
    ) -> None:
        self._jobs, self._workspace, self._worker = jobs, workspace, worker
        self._attempt = attempt
        self._unsaved: OSError | None = None
        self._trainer: SupernetTrainer | None = None
        self._recipe = SupernetRecipe()

    def advance(self) -> SupernetReport:
        """Train one epoch; what cannot be trained is a report with a reason.

        An OSError or a GpuLostError is raised: a fresh process can go on. Where a checkpoint cannot
        be written it is a warning in the report, but for the last one: without it nothing is there.
        """
        try:
            return self._advance()
        except (OSError, GpuLostError):
            raise
        except TrainingDivergedError as error:
            reason = f"diverged: {error}"
        except Exception as error:
            reason = reason_of(error)
        return SupernetReport(reason=reason, done=True)

    def _advance(self) -> SupernetReport:
        if self._trainer is None:
            self._trainer = self._open()
        trainer, epochs = self._trainer, self._trainer.config.epochs
        if trainer.done:  # and then its last report was lost
            fidelity = Fidelity(trainer.epoch, shared=True)
            own = self._attempt
            return SupernetReport(epochs=epochs, fidelity=fidelity, done=True, attempt=own)
        self._unsaved = None
        epoch = trainer.run_epoch()
        if trainer.done and self._unsaved:
            raise self._unsaved
        return SupernetReport(
            epochs=epochs,
            fidelity=Fidelity(epoch.epoch, shared=True),
            loss=epoch.loss,
            dice=epoch.dice,
            seconds=epoch.seconds,
            measured=epoch.measured,
            done=trainer.done,
            attempt=self._attempt,
            warning=self._warning,
            saved=self._unsaved is None,
        )

    @property
    def _warning(self) -> str | None:
        if self._unsaved is None:
            return None
        folder, error = self._jobs.shared.file.parent, self._unsaved
        return (
            f"{folder} cannot be written: {error.strerror or error}; the supernet trains on, but "
            "begins again from an older checkpoint where it is interrupted"
        )

    def _note(self, error: OSError) -> None:
        self._unsaved = error

    def _open(self) -> SupernetTrainer:
        train, epochs = self._jobs.train, self._epochs()
        every = max(train.validate_every, -(-epochs // VALIDATIONS))
        whole = train.model_copy(update={"epochs": epochs, "validate_every": every})
        return self._make(whole, timing=False)

    def _epochs(self) -> int:
        """Those that are set, or that an earlier process found time for, or that there is."""
        if self._jobs.epochs is not None:
            return self._jobs.epochs
        file = self._jobs.shared.file.with_name(EPOCHS)
        if not file.exists():
            epoch = self._step_seconds() * self._jobs.train.steps_per_epoch
            epochs = max(1, int(self._jobs.seconds / epoch))
            if self._worker.first:
                file.parent.mkdir(parents=True, exist_ok=True)
                replace_files({file: json.dumps(epochs).encode()})
            return epochs
        return int(json.loads(file.read_text()))

    def _step_seconds(self) -> float:
        """Of a step, once the first ones are over."""
        short = {"epochs": 2, "steps_per_epoch": TIMED_STEPS}
        trainer = self._make(self._jobs.train.model_copy(update=short), timing=True)
        trainer.run_epoch()
        started = perf_counter()
        trainer.run_epoch()
        seconds = torch.tensor((perf_counter() - started) / TIMED_STEPS)
        return float(self._worker.mean(seconds.to(self._jobs.device)))

    def _make(self, train: TrainConfig, timing: bool) -> SupernetTrainer:
        """`timing`: all steps are of several networks, nothing is validated or saved."""
        jobs, workspace, recipe = self._jobs, self._workspace, self._recipe
        return SupernetTrainer(
            jobs.shared.build(jobs.seed),
            self._draws,
            workspace.cache,
            Cases(workspace.cases.train, (), ()) if timing else workspace.cases,
            train,
            device=torch.device(jobs.device),
            seed=jobs.seed,
            checkpoint=None if timing else self._checkpoint(),
            pause=workspace.pause,
            on_unsaved=self._note,
            recipe=recipe.model_copy(update={"first": 0.0}) if timing else recipe,
            fit=self._largest_within,
            worker=self._worker,
        )

    def _checkpoint(self) -> Path:
        """What is gone on from; of the process that saves, what it saves to, too."""
        file = self._jobs.shared.file
        if self._attempt is None or not self._worker.first:
            return file
        own = Attempts(file).begin(self._attempt)
        if self._worker.count > 1 and file.exists() and not own.exists():
            raise OSError(f"{file} can neither be linked nor copied")  # others go on from it
        return own

    @cached_property
    def _draws(self) -> Draws:
        jobs = self._jobs
        return draws_within(
            jobs.shared.space,
            jobs.shared.restrict,
            jobs.prior,
            jobs.costs,
            count=self._recipe.random,
            seed=jobs.seed,
        )

    @cached_property
    def _largest_within(self) -> LargestWithin:
        jobs = self._jobs
        return LargestWithin(jobs.shared.space, jobs.shared.restrict, jobs.costs)
