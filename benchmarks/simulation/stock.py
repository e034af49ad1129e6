"""Ray Tune's own `OptunaSearch` and `ASHAScheduler`, driven as Tune's controller drives them.

OptunaSearch records the last metrics of a trial that the scheduler stopped as its final ones.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from .replay import Run
from .table import Table

SAMPLERS: Mapping[str, Callable[..., BaseSampler]] = {
    "random": RandomSampler,
    "nsga2": NSGAIISampler,
    "tpe": TPESampler,
}


@dataclass(frozen=True)
class Stock:
    """`sampler`: one of Optuna's by its short name, `arguments` for it. `asha`: on Dice, with Ray's
    defaults for grace (1 epoch) and reduction (4)."""

    sampler: str
    arguments: Mapping[str, Any] | None = None
    asha: bool = False

    def policy(self, table: Table, objectives: Sequence[str], seed: int, budget: int) -> _Policy:
        """A new search."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        np.random.seed(seed)  # ASHA draws its brackets from it
        sampler = SAMPLERS[self.sampler](seed=seed, **(self.arguments or {}))
        scheduler = None
        if self.asha:
            scheduler = AsyncHyperBandScheduler(metric="dice", mode="max", max_t=table.epochs)
        return _Policy(table, objectives, sampler, scheduler)


class _Policy:
    def __init__(
        self,
        table: Table,
        objectives: Sequence[str],
        sampler: BaseSampler,
        scheduler: AsyncHyperBandScheduler | None,
    ) -> None:
        self._table, self._scheduler = table, scheduler
        self._asked = 0
        space, restrict = table.within.space, table.within.restrict

        def define(trial: optuna.Trial) -> dict[str, str]:
            return {"key": space.sample(trial, restrict).key}

        modes = ["max" if name == "dice" else "min" for name in objectives]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.search = OptunaSearch(define, list(objectives), modes, sampler=sampler)

    def ask(self, begun: int) -> Run:
        self._asked += 1
        name = str(self._asked)
        run = Run(name, self.search.suggest(name)["key"])
        if self._scheduler:
            self._scheduler.on_trial_add(None, _trial(run))
        return run

    def report(self, run: Run, curve: Sequence[float]) -> bool:
        self.search.on_trial_result(run.name, self._result(run, curve))
        if not self._scheduler:
            return True
        decision = self._scheduler.on_trial_result(None, _trial(run), self._result(run, curve))
        return decision == TrialScheduler.CONTINUE

    def end(self, run: Run, curve: Sequence[float], complete: bool) -> None:
        result = self._result(run, curve)
        if self._scheduler:
            self._scheduler.on_trial_complete(None, _trial(run), result)
        self.search.on_trial_complete(run.name, result)

    def _result(self, run: Run, curve: Sequence[float]) -> dict[str, float]:
        costs = self._table.networks[run.key].costs
        return {**costs, "dice": curve[-1], "training_iteration": len(curve)}


def _trial(run: Run) -> SimpleNamespace:
    """All that the scheduler reads of a Tune trial."""
    return SimpleNamespace(trial_id=run.name)
