"""What a search may spend, and how much of it is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nas.config.run_config import SearchConfig
from nas.search.running import Running
from nas.study.candidate import Candidate
from nas.study.study import Study
from trainers.config import TrainConfig
from trainers.counted import counted

MOST = 1 / 8  # of the time of all slots: what one training may take
SLOWER = 2.0  # times the quickest one, which may take that whatever its share is
ROUNDING = 1e-9  # of a number of trainings: .1 x 30 is 3


@dataclass(frozen=True)
class Spent:
    """`trainings` and `epochs` of candidates in all; `seconds` of all sessions, each from when
    its data are prepared; `repeats`: whole trainings of candidates that were trained again."""

    trainings: float
    epochs: int
    seconds: float
    repeats: float = 0.0


class SearchBudget:
    """The limits of `search:`, for trainings as `train` has them.

    The last `search.confirm` of it, a share, is for repeats. Without `candidates` all of it is.
    `before`: epochs that are spent on what the candidates have in common.
    `baseline_epochs`: those of a baseline, where candidates inherit weights and train fewer.
    """

    def __init__(
        self,
        search: SearchConfig,
        train: TrainConfig,
        candidates: bool = True,
        before: int = 0,
        baseline_epochs: int | None = None,
    ) -> None:
        self.search, self.epochs, self._candidates = search, train.epochs, candidates
        self._before, self._baseline_epochs = before, baseline_epochs or train.epochs
        self._all_epochs = search.all_epochs(train.epochs)
        whole = search.trials if search.budget == "trials" else self._all_epochs / train.epochs
        self._most_repeats = math.ceil(search.confirm * whole - ROUNDING)

    def epochs_of(self, candidate: Candidate) -> int:
        """Those of its whole training."""
        return self._baseline_epochs if candidate.baseline else self.epochs

    def out_of_time(self, seconds: float) -> bool:
        """Whether it is too late for another candidate."""
        return self.seconds_left(seconds, 1 - self.search.confirm) <= 0

    def seconds_left(self, seconds: float, share: float = 1.0) -> float:
        """Of `share` of `search.hours`; infinite where there is no such limit."""
        hours = self.search.hours
        return math.inf if hours is None else 3600 * hours * share - seconds

    def most_seconds(self, elapsed: float, slots: int, quickest: float) -> float:
        """What a training that begins now may take, with `slots` of them side by side.

        It is to end within `search.hours`, and to leave time for others: not more than `MOST` of
        all there is, unless every training takes about as long as that.
        """
        hours, most = self.search.hours, self.search.trial_hours
        share = math.inf if hours is None else MOST * 3600 * hours * slots
        return min(
            self.seconds_left(elapsed),
            math.inf if most is None else 3600 * most,
            max(share, SLOWER * quickest),
        )

    def wants_candidate(self, spent: Spent) -> bool:
        """Whether there is room for another candidate beside those that have spent so much."""
        candidates = replace(spent, repeats=0.0)
        room = self.fraction_spent(candidates) < 1 - self.search.confirm
        return self._candidates and room and self.fraction_spent(spent) < 1

    def wants_repeat(self, spent: Spent) -> bool:
        """Whether there is room for another repeat, once there is none for a candidate.

        Where candidates have left more than the share for repeats, it is left, too.
        """
        if self.search.budget == "hours":
            return self.search.confirm > 0 and self.fraction_spent(spent) < 1
        return spent.repeats < self._most_repeats and self.fraction_spent(spent) < 1

    def spent(self, study: Study, under_way: Sequence[Running], seconds: float) -> Spent:
        """So far: what has ended, and the epochs of what is `under_way` (no baselines)."""
        new, again = _epochs(under_way)
        return Spent(
            study.begun + sum(new) / self.epochs,
            self._before + study.epochs + sum(new),
            seconds,
            study.trained_again + sum(again) / self.epochs,
        )

    def committed(
        self, study: Study, under_way: Sequence[Running], pending: bool, seconds: float
    ) -> Spent:
        """The same once all that is `under_way`, and one more candidate, if `pending`, has trained
        to its end, as it may: where many are stopped, their epochs are free again."""
        new, again = _epochs(under_way)
        begun = len(new) + pending
        return Spent(
            study.begun + begun,
            self._before + study.epochs + begun * self.epochs,
            seconds,
            study.trained_again + len(again),
        )

    def fraction_spent(self, spent: Spent) -> float:
        """From 0 to 1; all of it without candidates, whose repeats have no part in it.

        Nor have those beyond the share for repeats, which `segnas confirm` trained.
        """
        search, repeats = self.search, min(spent.repeats, self._most_repeats)
        if not self._candidates:
            return 1.0
        if search.budget == "hours" and search.hours is not None:
            used = spent.seconds / (3600 * search.hours)
        elif search.budget == "epochs":
            used = (spent.epochs + repeats * self.epochs) / self._all_epochs
        else:
            used = (spent.trainings + repeats) / search.trials
        return min(used, 1.0)

    def done(self, study: Study) -> int:
        """Trainings that ended so far, complete or stopped, those of earlier sessions included.

        With candidates, without the repeats that `segnas confirm` trained after the search: they
        are none of the trials that were asked for.
        """
        repeats = study.trained_again
        if self._candidates and self.search.budget != "hours":
            repeats = min(repeats, self._most_repeats)
        if self._candidates and self._counts_trials:
            repeats = min(repeats, max(0, self.search.trials - study.begun))
        return study.begun + repeats

    def progress_text(self, done: int, fraction: float) -> str:
        """How far a search is, by what it spends: `3/10 trials`, `7 trials, 40% of the epochs`."""
        search = self.search
        if not self._candidates:
            return counted(done, "training")
        if self._counts_trials:
            return f"{done}/{search.trials} trials"
        return f"{counted(done, 'trial')}, {fraction:.0%} of the {search.budget}"

    @property
    def _counts_trials(self) -> bool:
        """Whether the budget is a number of whole trainings."""
        search = self.search
        whole = search.budget == "epochs" and not (search.epochs or search.early_stopping)
        return whole or search.budget == "trials"


def _epochs(under_way: Sequence[Running]) -> tuple[list[int], list[int]]:
    """Those that candidates, and repeats of candidates, have trained."""
    new = [running.report.epoch for running in under_way if not running.is_repeat]
    again = [running.report.epoch for running in under_way if running.is_repeat]
    return new, again
