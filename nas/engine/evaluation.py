"""The evaluation of one candidate, an epoch at a time: build, train, report."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import torch

from nas.config.run_config import RunConfig
from nas.cost.failure import is_out_of_memory, reason_of
from search_spaces.space import Architecture
from trainers.checkpoint import read_checkpoint
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.errors import TrainingDivergedError, UserError
from trainers.inference import no_pause
from trainers.offers import pop_network_metrics
from trainers.trainer import EpochReport, Trainer


@dataclass(frozen=True, kw_only=True)
class Report:
    """How far a candidate is. `done`: it has ended, and where `reason` is set, it failed.

    `epoch` counts the epochs trained, `seconds` those of the latest one, training and validation
    and nothing else. `curve` holds the Dice of every validation so far, `measured` what the network
    told of itself in the latest. `accumulate`: in how many passes a batch is trained. `warning`:
    what the person at the terminal should know.
    """

    epoch: int = 0
    loss: float | None = None
    dice: float | None = None
    dice_per_class: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    curve: tuple[float, ...] = ()
    measured: Mapping[str, float] = field(default_factory=dict)
    done: bool = False
    reason: str | None = None
    accumulate: int = 1
    warning: str | None = None


class Evaluation:
    """Trains one architecture; `advance` is called until its report is done.

    Training goes on from `checkpoint` where that file exists. `pause` is called between steps. With
    `search.on_memory: halve`, what runs out of memory goes on once more, each batch in two passes.
    """

    def __init__(
        self,
        architecture: Architecture,
        config: RunConfig,
        cache: VolumeCache,
        cases: Cases,
        checkpoint: Path,
        pause: Callable[[], None] = no_pause,
    ) -> None:
        self._architecture, self._config = architecture, config
        self._cache, self._cases, self._checkpoint = cache, cases, checkpoint
        self._device = torch.device(config.resources.device)
        self._pause = pause
        self._trainer: Trainer | None = None
        self._accumulate = 1
        self._unsaved: OSError | None = None
        torch.cuda.empty_cache()  # of the candidate before, which may have run out of memory

    def advance(self) -> Report:
        """Train one epoch.

        What is the network's own fault (it needs too much memory, its loss is no number, it does
        not run) is reported, not raised: it would fail again. An OSError is raised, unless it is of
        a checkpoint that cannot be written: that is a warning in the report.
        """
        try:
            return self._advance()
        except OSError:
            raise
        except Exception as error:
            reason, halve = self._reason(error), is_out_of_memory(error) and self._can_halve
        # Only here, out of the `except`, the error's frames hold no tensors any more.
        if halve:
            self._halve()
            return self.advance()
        trainer, self._trainer = self._trainer, None
        return given_up(reason, self._checkpoint, trainer)

    def _advance(self) -> Report:
        self._unsaved = None
        if self._trainer is None:
            self._trainer = self._train(self._build())
        trainer = self._trainer
        epoch = _validated(trainer) if trainer.done else trainer.run_epoch()
        if trainer.done and (epoch.dice is None or math.isnan(epoch.dice)):
            reason = "the validation Dice is no number: no case has any of the classes"
            return given_up(reason, self._checkpoint, trainer)
        return Report(
            epoch=epoch.epoch,
            loss=epoch.loss,
            dice=epoch.dice,
            dice_per_class=epoch.dice_per_class,
            seconds=epoch.seconds,
            curve=tuple(trainer.curve),
            measured=epoch.measured,
            done=trainer.done,
            accumulate=trainer.accumulate,
            warning=self._warning(self._unsaved, trainer.done) if self._unsaved else None,
        )

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TrainingDivergedError):
            return f"diverged: {error}"
        tried = is_out_of_memory(error) and self._accumulate > 1
        return reason_of(error) + (f" (each batch in {self._accumulate} passes)" if tried else "")

    def _warning(self, error: OSError, done: bool) -> str:
        cause = error.strerror or error
        text = f"{self._checkpoint.parent} cannot be written: {cause}; trials go on"
        if not done:
            return f"{text}, but begin again from older checkpoints where they are interrupted"
        with suppress(OSError):  # older weights must not pass for those that have this Dice
            self._checkpoint.unlink(missing_ok=True)
        return f"{text}, but the weights of {self._checkpoint.stem} are lost"

    @property
    def _can_halve(self) -> bool:
        wanted = self._config.search.on_memory == "halve"
        return wanted and self._accumulate == 1 and self._config.train.batch >= 2

    def _halve(self) -> None:
        """Free the memory, to begin again from the last checkpoint."""
        self._trainer = None
        gc.collect()
        torch.cuda.empty_cache()
        self._accumulate = 2

    def _build(self) -> torch.nn.Module:
        torch.manual_seed(self._config.seed)
        return self._architecture.build(self._cache.channels, len(self._cache.classes))

    def _train(self, network: torch.nn.Module) -> Trainer:
        def trainer() -> Trainer:
            return Trainer(
                network,
                self._cache,
                self._cases,
                self._config.train,
                device=self._device,
                seed=self._config.seed,
                checkpoint=self._checkpoint,
                pause=self._pause,
                accumulate=self._accumulate,
                on_unsaved=self._note,
            )

        try:
            made = trainer()
        except UserError:  # the file is no whole checkpoint of this network: begin again
            self._checkpoint.unlink()
            made = trainer()
        self._accumulate = made.accumulate
        if made.accumulate > 1:
            made.save()  # whoever goes on from here knows that this was tried
        return made

    def _note(self, error: OSError) -> None:
        self._unsaved = error


def given_up(reason: str, checkpoint: Path, trainer: Trainer | None = None) -> Report:
    """The report of a candidate that failed, as far as it got by its trainer or its checkpoint."""
    epoch, curve, accumulate = 0, [], 1
    if trainer is not None:
        epoch, curve, accumulate = trainer.epoch, trainer.curve, trainer.accumulate
    else:
        with suppress(UserError):
            training = read_checkpoint(checkpoint).get("training", {})
            epoch, curve = training.get("epoch", 0), training.get("curve", [])
            accumulate = training.get("accumulate", 1)
    return Report(epoch=epoch, curve=tuple(curve), accumulate=accumulate, done=True, reason=reason)


def _validated(trainer: Trainer) -> EpochReport:
    """A training whose last report was lost: only what validation tells is missing."""
    started = perf_counter()
    dice, per_class = trainer.validate()
    measured = pop_network_metrics(trainer.network)
    seconds = perf_counter() - started
    return EpochReport(trainer.epoch, math.nan, dice, per_class, seconds, measured)
