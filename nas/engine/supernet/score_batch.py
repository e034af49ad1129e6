"""The Dice of networks by shared weights, one network after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from nas.cost.failure import reason_of
from nas.engine.evaluator import Workspace
from nas.engine.report import Fidelity, Report
from search_spaces.space import Architecture
from trainers.errors import GpuLostError
from trainers.precision import autocast
from trainers.validation import score_network

if TYPE_CHECKING:
    from nas.engine.supernet.jobs import SupernetJobs
    from search_spaces.supernet import Supernet

REPORTS = 2.0  # seconds between two reports


@dataclass(frozen=True)
class Scored:
    """A network by its key: its costs and its Dice by shared weights, or why there is none."""

    key: str
    costs: Mapping[str, float] = field(default_factory=dict)
    dice: float | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreReport(Report):
    """Some more networks of a batch."""

    scored: tuple[Scored, ...]


class ScoreBatch:
    """Networks to be scored, for about `REPORTS` seconds a step."""

    def __init__(
        self,
        jobs: SupernetJobs,
        workspace: Workspace,
        supernet: Supernet,
        batch: Sequence[Architecture],
    ) -> None:
        self._jobs, self._workspace, self._supernet = jobs, workspace, supernet
        self._left = list(batch)

    def advance(self) -> ScoreReport:
        """Score some networks; an OSError or a GpuLostError is raised."""
        started = perf_counter()
        scored: list[Scored] = []
        while self._left and (not scored or perf_counter() - started < REPORTS):
            scored.append(self._score(self._left.pop(0)))
        return ScoreReport(
            scored=tuple(scored),
            fidelity=Fidelity(shared=True),
            seconds=perf_counter() - started,
            done=not self._left,
        )

    def _score(self, architecture: Architecture) -> Scored:
        key, jobs = architecture.key, self._jobs
        try:
            costs = jobs.costs.work(architecture)
            if reason := jobs.costs.budget.reason(costs):
                return Scored(key, costs, reason=reason)
            dice = self._dice(architecture)
        except (OSError, GpuLostError):
            raise
        except Exception as error:  # whatever a network raises, it is the network's own end
            return Scored(key, reason=reason_of(error))
        return Scored(key, costs, None if math.isnan(dice) else dice)

    def _dice(self, architecture: Architecture) -> float:
        """As a training validates, with weights that are cut out."""
        jobs, workspace = self._jobs, self._workspace
        compute = partial(autocast, jobs.train, torch.device(jobs.device))
        network, names = self._supernet.cut(architecture), workspace.cases.validation
        cache, pause = workspace.cache, workspace.pause
        return score_network(network, cache, names, jobs.train, compute, pause)[0]
