"""Candidates that are rejected before any training, and what is told of many in a row."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from nas.pareto.budget import Budget
from nas.pareto.objectives import objective
from nas.pareto.result import Result

TELL_AFTER = 50  # candidates in a row without one within the budget


class RejectionStreak:
    """The candidates in a row that were refused before they were trained."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._refused: list[Result] = []
        self._told = 0

    def add(self, result: Result) -> None:
        """One more was refused."""
        self._refused.append(result)

    def clear(self) -> None:
        """One was not."""
        self._refused.clear()
        self._told = 0

    @property
    def due(self) -> bool:
        """Whether there is a verdict to tell, once for every `TELL_AFTER` refusals in a row."""
        return len(self._refused) >= self._told + TELL_AFTER

    def verdict(self) -> str:
        """Which limits are to blame, the worst first, and what was seen of them."""
        self._told = len(self._refused)
        blame = [line for _, line in sorted(self._blame(), reverse=True)]
        others = [r.reason for r in self._refused if not self._budget.excess(r.costs)]
        if others:
            blame.append(f"{len(others)} failed, the last: {others[-1]}")
        return "\n  ".join([f"{self._told} candidates in a row cannot be trained:", *blame])

    def _blame(self) -> Iterator[tuple[int, str]]:
        """How many candidates each limit ruled out, and how that is told."""
        for name, limit in self._budget.limits().items():
            seen = [value for r in self._refused if (value := r.costs.get(name)) is not None]
            out = sum(value > limit for value in seen)
            if out:
                exact = objective(name).exact
                low, middle, high = (exact(f(seen)) for f in (min, median, max))
                yield (
                    out,
                    f"budget.{name} = {exact(limit)} rules out {out} of {len(seen)}; seen: "
                    f"{low} to {high}, median {middle}",
                )
