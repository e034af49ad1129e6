"""Whether a trial goes on after what it reported."""

from __future__ import annotations

from collections.abc import Container, Iterable

from nas.config.run_config import SearchConfig
from nas.engine.report import Report
from nas.pareto.result import Result, State
from nas.search.asha import Scheduler
from nas.study.candidate import Candidate
from trainers.config import TrainConfig
from trainers.counted import counted


class TrialJudge:
    """The limit on a trial's hours, and early stopping; knows the results of earlier sessions.

    Baselines are not compared. `starts`, the keys of what a search tries first, are compared and
    never stopped: somebody asked for them, and every later network is judged beside them.
    """

    def __init__(
        self,
        search: SearchConfig,
        train: TrainConfig,
        objectives: tuple[str, ...],
        results: Iterable[Result] = (),
        starts: Container[str] = (),
    ) -> None:
        self._hours, self._epochs = search.trial_hours, train.epochs
        self._starts = starts
        self._scheduler: Scheduler | None = None
        if search.early_stopping:
            self._scheduler = Scheduler(search.early_stopping, train, objectives)
            self._scheduler.restore(results)

    def verdict(
        self, candidate: Candidate, report: Report, seconds: float
    ) -> tuple[State, str] | None:
        """As what, and why, a candidate is to end here that was trained for `seconds`, if so."""
        if self._hours is not None and seconds >= 3600 * self._hours:
            trained = f"{seconds / 3600:.3g} h for {counted(report.epoch, 'epoch')}"
            return "infeasible", f"took too long: {trained}; search.trial_hours is {self._hours:g}"
        if self._scheduler is None or report.dice is None or candidate.baseline:
            return None
        key = candidate.key
        goes_on = self._scheduler.report(key, report.epoch, report.curve, candidate.costs)
        if goes_on or key in self._starts:
            return None
        return "stopped", f"stopped after {report.epoch} of {self._epochs} epochs"
