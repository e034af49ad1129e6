"""The project's own engine: its study, samplers and scheduler, without Ray."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna

from nas.config.run_config import RunConfig
from nas.search.asha import Scheduler
from nas.search.components import study_settings
from nas.study.candidate import Candidate
from nas.study.constraints import directions
from nas.study.samplers.warm_start import warm_starts
from nas.study.study import Study
from nas.study.training_cost import TrainingCosts
from search_spaces.space import Architecture, to_params

from .replay import Run
from .table import Table

PATIENCE = 100  # proposals in vain, of a small space; the search's own is for large ones
AGAIN = "again"  # the name of a run that trains what was trained before


@dataclass(frozen=True)
class Ours:
    """`search`: keys of a configuration's `search:` that differ from the defaults.

    `repeats`: an architecture that is proposed again is trained again, as nothing prevents it
    elsewhere.
    """

    search: Mapping[str, Any] = field(default_factory=dict)
    repeats: bool = False

    def config(self, table: Table, objectives: Sequence[str], seed: int) -> RunConfig:
        """The search as a configuration."""
        changes = {"objectives": objectives, "search": self.search, "seed": seed}
        return RunConfig.model_validate({**table.config, **changes})

    def policy(self, table: Table, objectives: Sequence[str], seed: int, budget: int) -> _Policy:
        """A new search."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return _Policy(self, table, self.config(table, objectives, seed), budget)


class _Policy:
    def __init__(self, ours: Ours, table: Table, config: RunConfig, budget: int) -> None:
        self._table, self._retrain = table, ours.repeats
        within = table.within
        counted = config.train, config.resources, config.budget
        costs = _TableCosts(*counted, channels=0, classes=0, table=table)
        study = optuna.create_study(directions=directions(config.objectives))
        starts = warm_starts(config.search, within, costs)
        self._starts = {start.architecture.key for start in starts}
        for start in starts:
            study.enqueue_trial(to_params(start.architecture))
        self._study = _Study(study, study_settings(config, within), costs, PATIENCE)
        rule = config.search.early_stopping
        self._scheduler = Scheduler(rule, config.train, config.objectives) if rule else None
        self._candidates: dict[str, Candidate] = {}
        self._waiting: deque[Run] = deque()
        self._trained: dict[str, int] = {}

    def ask(self, begun: int) -> Run | None:
        if not self._waiting and not self._study.exhausted:
            candidate = self._study.ask()
            if self._retrain:
                self._waiting += [Run(AGAIN, key) for key in self._study.repeated]
            self._study.repeated.clear()
            if candidate:
                self._study.admit()
                measured = self._table.networks[candidate.key].costs
                self._candidates[candidate.key] = replace(candidate, costs=measured)
                self._waiting.append(Run(str(candidate.number), candidate.key))
        return self._waiting.popleft() if self._waiting else None

    def report(self, run: Run, curve: Sequence[float]) -> bool:
        if run.name == AGAIN:
            return len(curve) < self._trained.get(run.key, self._table.epochs)
        costs = self._candidates[run.key].costs
        if self._scheduler is None:
            return True
        return self._scheduler.report(run.key, len(curve), curve, costs) or run.key in self._starts

    def end(self, run: Run, curve: Sequence[float], complete: bool) -> None:
        if run.name == AGAIN:
            return
        self._trained[run.key] = len(curve)
        candidate = self._candidates.pop(run.key)
        if complete:
            found = {"state": "complete", "dice": curve[-1]}
        else:
            found = {"state": "stopped", "reason": f"after {len(curve)} epochs"}
        self._study.tell(candidate.result(epochs=len(curve), curve=tuple(curve), **found))


@dataclass(frozen=True)
class _TableCosts(TrainingCosts):
    """What is known before a network is proposed: its latency is measured later."""

    table: Table = field(kw_only=True)

    def work(self, architecture: Architecture) -> dict[str, float]:
        costs = self.table.networks[architecture.key].costs
        return {name: cost for name, cost in costs.items() if name != "latency_ms"}

    def macs_bounds(self, architecture: Architecture) -> None:
        """None: of a table's networks the input decides nothing."""

    __call__ = work


class _Study(Study):
    """Remembers which proposals it answered itself."""

    def __init__(self, *arguments: Any) -> None:
        self.repeated: list[str] = []
        super().__init__(*arguments)

    def _is_repeat(self, trial: optuna.Trial, key: str) -> bool:
        repeat = super()._is_repeat(trial, key)
        if repeat:
            self.repeated.append(key)
        return repeat
