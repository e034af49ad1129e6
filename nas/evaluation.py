"""The evaluation of one candidate, an epoch at a time: build, train, report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import torch

from nas.config import RunConfig
from nas.failure import reason_of
from search_spaces.space import Architecture
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.errors import TrainingDivergedError, UserError
from trainers.inference import go_on
from trainers.offers import take_measured
from trainers.trainer import EpochReport, Trainer


@dataclass(frozen=True, kw_only=True)
class Report:
    """How far a candidate is. `done`: it has ended, and where `reason` is set, it failed.

    `epoch` counts the epochs trained, `seconds` those of the latest one, training and validation
    and nothing else. `curve` holds the Dice of every validation so far, `measured` what the network
    told of itself in the latest.
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


class Evaluation:
    """Trains one architecture; `advance` is called until its report is done.

    Training goes on from `checkpoint` where that file exists. `pause` is called between steps.
    """

    def __init__(
        self,
        architecture: Architecture,
        config: RunConfig,
        cache: VolumeCache,
        cases: Cases,
        checkpoint: Path,
        pause: Callable[[], None] = go_on,
    ) -> None:
        self._architecture, self._config = architecture, config
        self._cache, self._cases, self._checkpoint = cache, cases, checkpoint
        self._device = torch.device(config.resources.device)
        self._pause = pause
        self._trainer: Trainer | None = None
        torch.cuda.empty_cache()  # of the candidate before, which may have run out of memory

    def advance(self) -> Report:
        """Train one epoch.

        What is the network's own fault (it needs too much memory, its loss is no number, it does
        not run) is reported, not raised: it would fail again. An OSError is raised.
        """
        try:
            return self._advance()
        except OSError:
            raise
        except Exception as error:
            return self._failed(_reason(error))

    def _advance(self) -> Report:
        if self._trainer is None:
            self._trainer = self._train(self._build())
        trainer = self._trainer
        epoch = _validated(trainer) if trainer.done else trainer.run_epoch()
        if trainer.done and (epoch.dice is None or math.isnan(epoch.dice)):
            return self._failed("the validation Dice is no number: no case has any of the classes")
        return Report(
            epoch=epoch.epoch,
            loss=epoch.loss,
            dice=epoch.dice,
            dice_per_class=epoch.dice_per_class,
            seconds=epoch.seconds,
            curve=tuple(trainer.curve),
            measured=epoch.measured,
            done=trainer.done,
        )

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
            )

        try:
            return trainer()
        except UserError:  # the file is no whole checkpoint of this network: begin again
            self._checkpoint.unlink()
            return trainer()

    def _failed(self, reason: str) -> Report:
        trainer, self._trainer = self._trainer, None
        epoch, curve = (trainer.epoch, tuple(trainer.curve)) if trainer else (0, ())
        return Report(epoch=epoch, curve=curve, done=True, reason=reason)


def _validated(trainer: Trainer) -> EpochReport:
    """A training whose last report was lost: only what validation tells is missing."""
    started = perf_counter()
    dice, per_class = trainer.validate()
    measured = take_measured(trainer.network)
    seconds = perf_counter() - started
    return EpochReport(trainer.epoch, math.nan, dice, per_class, seconds, measured)


def _reason(error: Exception) -> str:
    return f"diverged: {error}" if isinstance(error, TrainingDivergedError) else reason_of(error)
