"""The evaluator that trains each network from scratch, an epoch at a time."""

from __future__ import annotations

import gc
import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Literal

import torch

from nas.cost.failure import is_out_of_memory, reason_of
from nas.cost.recompute import free_memory, keep_where_it_fits
from nas.engine.evaluator import Workspace
from nas.engine.report import Fidelity, Report
from search_spaces.space import Architecture
from trainers.checkpoint import read_checkpoint
from trainers.config import TrainConfig
from trainers.errors import GpuLostError, TrainingDivergedError, UserError
from trainers.freed_memory import give_back_freed_memory
from trainers.offers import pop_network_metrics
from trainers.trainer import EpochReport, Trainer


@dataclass
class TrainFromScratch:
    """Every candidate gets new weights, drawn by `seed`, and the whole schedule of `train`.

    `on_memory: halve`: what runs out of memory is trained once more, each batch in two passes;
    `infeasible`: it has failed. See `nas.engine.evaluator` for the methods.
    """

    train: TrainConfig
    seed: int
    device: str
    on_memory: Literal["infeasible", "halve"] = "infeasible"
    workspace: Workspace | None = field(default=None, init=False)

    def prepare(self, workspace: Workspace) -> None:
        """Remember where the volumes are."""
        self.workspace = workspace

    def start(self, architecture: Architecture, checkpoint: Path) -> Training:
        """Train the architecture; what the file `checkpoint` holds is gone on from."""
        assert self.workspace is not None, "prepare comes first"
        return Training(self, self.workspace, architecture, checkpoint)

    def network(self, architecture: Architecture, channels: int, classes: int) -> torch.nn.Module:
        """What a training begins with."""
        torch.manual_seed(self.seed)
        return architecture.build(channels, classes)


class Training:
    """One architecture, trained an epoch a step."""

    def __init__(
        self,
        settings: TrainFromScratch,
        workspace: Workspace,
        architecture: Architecture,
        checkpoint: Path,
    ) -> None:
        self._settings, self._workspace = settings, workspace
        self._architecture, self._checkpoint = architecture, checkpoint
        self._trainer: Trainer | None = None
        self._accumulate = 1
        self._keeps = self._scarce = False  # all activations; whether memory has run out by it
        self._unsaved: OSError | None = None
        self._notes: list[str] = []
        torch.cuda.empty_cache()  # of the candidate before, which may have run out of memory
        give_back_freed_memory()

    def advance(self) -> Report:
        """Train one epoch.

        What is the network's own fault (it needs too much memory, its loss is no number, it does
        not run) is reported, not raised: it would fail again. An OSError is raised, unless it is of
        a checkpoint that cannot be written: that is a warning in the report. A GpuLostError is
        raised, too: a fresh process can go on.
        """
        try:
            return self._advance()
        except (OSError, GpuLostError):
            raise
        except Exception as error:
            reason, no_memory = self._reason(error), is_out_of_memory(error)
        # Only here, out of the `except`, the error's frames hold no tensors any more.
        if no_memory and (self._keeps or self._can_halve):
            self._save_memory()
            return self.advance()
        trainer, self._trainer = self._trainer, None
        return given_up(reason, self._checkpoint, trainer)

    def _advance(self) -> Report:
        self._unsaved = None
        if self._trainer is None:
            self._trainer = self._open()
        trainer = self._trainer
        epoch = _validated(trainer) if trainer.done else trainer.run_epoch()
        if trainer.done and (epoch.dice is None or math.isnan(epoch.dice)):
            reason = "the validation Dice is no number: no case has any of the classes"
            return given_up(reason, self._checkpoint, trainer)
        return Report(
            fidelity=Fidelity(epoch.epoch),
            loss=epoch.loss,
            dice=epoch.dice,
            dice_per_class=epoch.dice_per_class,
            seconds=epoch.seconds,
            earlier=trainer.earlier,
            curve=tuple(trainer.curve),
            measured=epoch.measured,
            done=trainer.done,
            accumulate=trainer.accumulate,
            warning=self._warning(trainer.done),
            saved=self._unsaved is None,
        )

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TrainingDivergedError):
            return f"diverged: {error}"
        tried = is_out_of_memory(error) and self._accumulate > 1
        return reason_of(error) + (f" (each batch in {self._accumulate} passes)" if tried else "")

    def _warning(self, done: bool) -> str | None:
        if self._unsaved is None:
            return self._notes.pop() if self._notes else None
        return self._not_saved(self._unsaved, done)

    def _not_saved(self, error: OSError, done: bool) -> str:
        cause = error.strerror or error
        text = f"{self._checkpoint.parent} cannot be written: {cause}; trials go on"
        if not done:
            return f"{text}, but begin again from older checkpoints where they are interrupted"
        with suppress(OSError):  # older weights must not pass for those that have this Dice
            self._checkpoint.unlink(missing_ok=True)
        return f"{text}, but the weights of {self._checkpoint.stem} are lost"

    @property
    def _can_halve(self) -> bool:
        wanted = self._settings.on_memory == "halve"
        return wanted and self._accumulate == 1 and self._settings.train.batch >= 2

    def _save_memory(self) -> None:
        """Free the memory, to begin again from the last checkpoint with less."""
        self._trainer = None
        gc.collect()
        torch.cuda.empty_cache()
        if self._keeps:
            self._keeps, self._scarce = False, True
        else:
            self._accumulate = 2

    @property
    def _task(self) -> tuple[int, int]:
        """Channels of the images, and of the logits."""
        cache = self._workspace.cache
        return cache.channels, cache.targets.outputs

    def _open(self) -> Trainer:
        try:
            made = self._make()
        except UserError:  # the file is no whole checkpoint of this network: begin again
            self._checkpoint.unlink(missing_ok=True)  # none where the recipe does not fit it
            made = self._make()
        self._accumulate = made.accumulate
        if made.accumulate > 1:
            made.save()  # whoever goes on from here knows that this was tried
        return made

    def _make(self) -> Trainer:
        """With a network of its own: a file that does not fit may have left some weights in it."""
        network = self._settings.network(self._architecture, *self._task)
        free = 0 if self._scarce else free_memory(torch.device(self._settings.device))
        self._keeps = keep_where_it_fits(
            network,
            self._architecture,
            *self._task,
            self._settings.train,
            free,
            targets=self._workspace.cache.targets,
        )
        return Trainer(
            network,
            self._workspace.cache,
            self._workspace.cases,
            self._settings.train,
            device=torch.device(self._settings.device),
            seed=self._settings.seed,
            checkpoint=self._checkpoint,
            pause=self._workspace.pause,
            accumulate=self._accumulate,
            on_unsaved=self._note,
            on_eager=self._notes.append,
        )

    def _note(self, error: OSError) -> None:
        self._unsaved = error


def given_up(reason: str, checkpoint: Path, trainer: Trainer | None = None) -> Report:
    """The report of a candidate that failed, as far as it got by its trainer or its checkpoint."""
    epoch, curve, accumulate, earlier = 0, [], 1, 0.0
    if trainer is not None:
        epoch, curve, accumulate = trainer.epoch, trainer.curve, trainer.accumulate
        earlier = trainer.earlier
    else:
        with suppress(UserError):
            training = read_checkpoint(checkpoint).get("training", {})
            epoch, curve = training.get("epoch", 0), training.get("curve", [])
            accumulate, earlier = training.get("accumulate", 1), training.get("seconds", 0.0)
    fidelity = Fidelity(epoch)
    return Report(
        fidelity=fidelity,
        earlier=earlier,
        curve=tuple(curve),
        accumulate=accumulate,
        done=True,
        reason=reason,
    )


def _validated(trainer: Trainer) -> EpochReport:
    """A training whose last report was lost: only what validation tells is missing."""
    started = perf_counter()
    dice, per_class = trainer.validate()
    measured = pop_network_metrics(trainer.deployed)
    seconds = perf_counter() - started
    return EpochReport(trainer.epoch, math.nan, dice, per_class, seconds, measured)
