"""Hard limits on what a network may cost, and what to say where they let nothing through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Annotated

from pydantic import ByteSize, Field

from nas.pareto.result import Result
from trainers.strict import Strict

Limit = Annotated[float, Field(gt=0)]
COSTS = {
    "params": "parameters",
    "macs": "MACs",
    "memory": "training memory",
    "latency_ms": "latency",
}
"""What people call them."""

TELL_AFTER = 50  # candidates in a row without one within the budget


class Budget(Strict):
    """Hard limits: a candidate over one of them is never trained.

    `params`: trainable parameters. `macs`: multiply-accumulates of one patch. `memory`: bytes (or
    `8GiB`) at the peak of a training step. `latency_ms`: median milliseconds of one pass.
    """

    params: Limit | None = None
    macs: Limit | None = None
    memory: Annotated[ByteSize, Field(gt=0)] | None = None
    latency_ms: Limit | None = None

    def limits(self) -> dict[str, float]:
        """The limits that are set."""
        return {name: float(limit) for name, limit in self if limit is not None}

    def excess(self, costs: Mapping[str, float | None]) -> dict[str, float]:
        """The limits that `costs` exceed, and by which factor; unknown costs exceed none."""
        known = {name: value for name, value in costs.items() if value is not None}
        return {
            name: known[name] / limit
            for name, limit in self.limits().items()
            if name in known and known[name] > limit
        }

    def reason(self, costs: Mapping[str, float | None]) -> str | None:
        """Why `costs` are too high, and by how much; None where they are not."""
        over = [
            f"{name} {amount(name, costs[name] or 0)} ({factor:.3g} times the limit)"
            for name, factor in self.excess(costs).items()
        ]
        return f"over budget: {', '.join(over)}" if over else None


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
        others = [r.reason for r in self._refused if not self._budget.excess(vars(r))]
        if others:
            blame.append(f"{len(others)} failed, the last: {others[-1]}")
        return "\n  ".join([f"{self._told} candidates in a row cannot be trained:", *blame])

    def _blame(self) -> Iterator[tuple[int, str]]:
        """How many candidates each limit ruled out, and how that is told."""
        for name, limit in self._budget.limits().items():
            seen = [value for r in self._refused if (value := vars(r)[name]) is not None]
            out = sum(value > limit for value in seen)
            if out:
                low, middle, high = (amount(name, f(seen)) for f in (min, median, max))
                yield (
                    out,
                    f"budget.{name} = {amount(name, limit)} rules out {out} of {len(seen)}; seen: "
                    f"{low} to {high}, median {middle}",
                )


def amount(name: str, value: float) -> str:
    """A cost with its unit, for people: `1,234`, `1.5 GiB`, `12.3 ms`."""
    if name == "memory":
        return ByteSize(int(value)).human_readable(separator=" ")
    if name == "latency_ms":
        return f"{value:.4g} ms"
    return f"{value:,.0f}"
