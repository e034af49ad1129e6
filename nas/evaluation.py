"""The evaluation of one candidate, an epoch at a time: measure, build, train, report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import torch

from nas.config import RunConfig
from nas.cost import Latency, measure_latency
from search_spaces.space import Architecture
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.errors import TrainingDivergedError, UserError
from trainers.offers import take_measured
from trainers.trainer import EpochReport, Trainer

NO_MEMORY = ("not enough memory", "bad alloc", "bad_alloc", "can't allocate memory")


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
    latency_ms: float | None = None
    device: str | None = None
    done: bool = False
    reason: str | None = None


class Evaluation:
    """Trains one architecture; `advance` is called until its report is done.

    The latency is measured before anything is trained. Training goes on from `checkpoint` where
    that file exists.
    """

    def __init__(
        self,
        architecture: Architecture,
        config: RunConfig,
        cache: VolumeCache,
        cases: Cases,
        checkpoint: Path,
    ) -> None:
        self._architecture, self._config = architecture, config
        self._cache, self._cases, self._checkpoint = cache, cases, checkpoint
        self._device = torch.device("cuda" if config.resources.gpus else "cpu")
        self._latency: Latency | None = None
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
        limit = self._config.budget.latency_ms
        if self._trainer is None:
            network = self._build()
            self._latency = self._measure(network)
            if limit is not None and self._latency.p50_ms > limit:
                return self._failed(
                    f"over budget: latency_ms {self._latency.p50_ms:.2f} > {limit:g}"
                )
            self._trainer = self._train(network)
        trainer = self._trainer
        epoch = _validated(trainer) if trainer.done else trainer.run_epoch()
        if trainer.done and (epoch.dice is None or math.isnan(epoch.dice)):
            return self._failed("the validation Dice is no number: no case has any of the classes")
        return self._report(
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

    def _measure(self, network: torch.nn.Module) -> Latency:
        shape = (1, self._cache.channels, *self._config.train.patch)
        return measure_latency(network, shape, self._config.latency, self._device)

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
            )

        try:
            return trainer()
        except UserError:  # the file is no whole checkpoint of this network: begin again
            self._checkpoint.unlink()
            return trainer()

    def _failed(self, reason: str) -> Report:
        trainer, self._trainer = self._trainer, None
        epoch, curve = (trainer.epoch, tuple(trainer.curve)) if trainer else (0, ())
        return self._report(epoch=epoch, curve=curve, done=True, reason=reason)

    def _report(self, **values: object) -> Report:
        if latency := self._latency:
            values |= {"latency_ms": latency.p50_ms, "device": latency.device}
        return Report(**values)  # type: ignore[arg-type]


def _validated(trainer: Trainer) -> EpochReport:
    """A training whose last report was lost: only what validation tells is missing."""
    started = perf_counter()
    dice, per_class = trainer.validate()
    measured = take_measured(trainer.network)
    seconds = perf_counter() - started
    return EpochReport(trainer.epoch, math.nan, dice, per_class, seconds, measured)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    if isinstance(error, TrainingDivergedError):
        return f"diverged: {first}"
    starved = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if starved or any(words in text.lower() for words in NO_MEMORY):
        return f"out of memory: {first}"
    return f"{type(error).__name__}: {first}"
