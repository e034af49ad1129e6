"""What a search decides on its way: whether one more trial begins, and whether one goes on."""

from __future__ import annotations

from dataclasses import dataclass

from nas.config.run_config import RunConfig
from nas.engine.evaluation import Report
from nas.pareto.result import State
from nas.search.asha import Scheduler
from nas.study.candidate import Candidate
from nas.study.study import Study


@dataclass(frozen=True)
class Spent:
    """`trainings` and `epochs` in all; `seconds` since the first launch."""

    trainings: float
    epochs: int
    seconds: float


class SearchBudget:
    """The limits of `search:` and its early stopping, for one session of a study."""

    def __init__(self, config: RunConfig, study: Study) -> None:
        self._search, self._epochs = config.search, config.train.epochs
        self._all_epochs = config.search_epochs
        self._study = study
        self._scheduler: Scheduler | None = None
        self._ends = [config.train.epochs]  # where a training may end
        if early := config.search.early_stopping:
            self._scheduler = Scheduler(early, config.train, config.objectives)
            self._scheduler.restore(study.results)
            self._ends += [epoch for rungs in early.rungs(config.train) for epoch in rungs]

    def late(self, spent: Spent) -> bool:
        """Whether `search.hours` are over."""
        hours = self._search.hours
        return hours is not None and spent.seconds >= 3600 * hours

    def share(self, spent: Spent) -> float:
        """Of the budget, how much is spent: from 0 to 1."""
        search = self._search
        if search.budget == "hours" and search.hours is not None:
            used = spent.seconds / (3600 * search.hours)
        elif search.budget == "epochs":
            used = spent.epochs / self._all_epochs
        else:
            used = spent.trainings / search.trials
        return min(used, 1.0)

    def committed(self, epoch: int) -> int:
        """The epochs that a candidate will have trained before it may end, `epoch` behind it."""
        return min((end for end in self._ends if end > epoch), default=self._epochs)

    def wants(self, spent: Spent, running: bool) -> bool:
        """Whether one more candidate is to be found, a new one or one to be trained on."""
        if self._wants_new(spent):
            return True
        # Where nothing is promising, the rest of the budget is for new candidates, too.
        idle = not running and not self._study.exhausted
        return self.share(spent) < 1 and (bool(self._promising()) or idle)

    def choose(self, spent: Spent) -> None:
        """Have the most promising stopped candidate proposed next, where it is its turn."""
        if self._scheduler is None or self._wants_new(spent):
            return
        for key in self._promising()[:1]:
            self._scheduler.readmit(key)
            self._study.proceed(key)

    def verdict(
        self, candidate: Candidate, report: Report, seconds: float
    ) -> tuple[State, str] | None:
        """As what, and why, a candidate is to end here that was trained for `seconds`, if so."""
        limit = self._search.trial_hours
        if limit is not None and seconds >= 3600 * limit:
            trained = f"{seconds / 3600:.3g} h for {report.epoch} epochs"
            return "infeasible", f"took too long: {trained}; search.trial_hours is {limit:g}"
        if self._scheduler is None or report.dice is None:
            return None
        if self._scheduler.report(candidate.key, report.curve, candidate.costs):
            return None
        return "stopped", f"stopped after {report.epoch} of {self._epochs} epochs"

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to train, new or stopped."""
        return self._study.exhausted is not None and not self._promising()

    def _wants_new(self, spent: Spent) -> bool:
        return not self._study.exhausted and self.share(spent) < 1 - self._search.continuation

    def _promising(self) -> list[str]:
        if self._scheduler is None or not (self._search.continuation or self._study.exhausted):
            return []
        return self._scheduler.promising()
