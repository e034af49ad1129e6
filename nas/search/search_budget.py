"""What a search may spend, and how much of it is spent."""

from __future__ import annotations

from dataclasses import dataclass

from nas.config.run_config import SearchConfig
from trainers.config import TrainConfig


@dataclass(frozen=True)
class Spent:
    """`trainings` and `epochs` in all; `seconds` since the first launch."""

    trainings: float
    epochs: int
    seconds: float


class SearchBudget:
    """The limits of `search:`, for trainings as `train` has them."""

    def __init__(self, search: SearchConfig, train: TrainConfig) -> None:
        self.search, self.epochs = search, train.epochs
        self._all_epochs = search.all_epochs(train.epochs)
        self._ends = {train.epochs}  # where a training may end
        if search.early_stopping:
            self._ends |= {e for rungs in search.early_stopping.rungs(train) for e in rungs}

    def out_of_time(self, seconds: float) -> bool:
        """Whether `search.hours` are over."""
        hours = self.search.hours
        return hours is not None and seconds >= 3600 * hours

    def fraction_spent(self, spent: Spent) -> float:
        """From 0 to 1."""
        search = self.search
        if search.budget == "hours" and search.hours is not None:
            used = spent.seconds / (3600 * search.hours)
        elif search.budget == "epochs":
            used = spent.epochs / self._all_epochs
        else:
            used = spent.trainings / search.trials
        return min(used, 1.0)

    def reserved_epochs(self, epoch: int) -> int:
        """The epochs that a candidate will have trained before it may end, `epoch` behind it."""
        return min((end for end in self._ends if end > epoch), default=self.epochs)

    def progress_text(self, done: int, fraction: float) -> str:
        """How far a search is, by what it spends: `3/10 trials`, `7 trials, 40% of the epochs`."""
        search = self.search
        counted = search.budget == "epochs" and not (search.epochs or search.early_stopping)
        if counted or search.budget == "trials":
            return f"{done}/{search.trials} trials"
        return f"{done} trials, {fraction:.0%} of the {search.budget}"
