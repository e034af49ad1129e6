"""What the drawn architectures cost: everything cheap of all, the rest of some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from nas.analysis.preview.parallel_costs import (
    Costs,
    Counted,
    Counter,
    Setting,
    count_memory,
    count_work,
)
from nas.analysis.preview.sample_space import Draw
from nas.pareto.budget import Budget
from search_spaces.space import Architecture

MEMORY_SAMPLES = 200  # the first ones; and then as many as this of those within the budget
MEMORY_WITHIN = 120


@dataclass(frozen=True)
class Survey:
    """`costs[i]` are those known of `draw.points[i]`, none where `broken[i]` says why it cannot be
    built. Of the costs in `leading`, only so many architectures from the first on are a random
    sample; those known of others belong to architectures within the limits known before."""

    draw: Draw
    costs: tuple[Costs, ...]
    leading: Mapping[str, int]
    broken: Mapping[int, str]

    def values(self, name: str) -> list[float]:
        """A cost over a random sample of the architectures that can be built."""
        last = self.leading.get(name, len(self.costs))
        return [costs[name] for costs in self.costs[:last] if name in costs]

    def within(self, budget: Budget) -> list[int]:
        """Those that no known cost keeps from being trained."""
        return [i for i, costs in enumerate(self.costs) if costs and not budget.excess(costs)]

    def spread(self, places: Sequence[int], count: int) -> list[int]:
        """`count` of the places, even in rank by multiply-accumulates, the fewest first."""
        ranked = sorted(places, key=lambda i: self.costs[i]["macs"])
        if len(ranked) <= count:
            return ranked
        return [ranked[int((k + 0.5) * len(ranked) / count)] for k in range(count)]

    def with_latencies(self, found: Mapping[int, float]) -> Survey:
        """The same, once the latencies (ms) of some were measured."""
        costs = list(self.costs)
        for i, value in found.items():
            costs[i] = {**costs[i], "latency_ms": value}
        return replace(self, costs=tuple(costs))


def take_survey(draw: Draw, budget: Budget, setting: Setting, counter: Counter) -> Survey:
    """Parameters and multiply-accumulates of all, memory of some: it takes longer."""
    points = draw.points
    counted = counter.map(partial(count_work, setting), points, "architectures counted")
    costs = [{} if isinstance(one, str) else one for one in counted]
    broken = {i: one for i, one in enumerate(counted) if isinstance(one, str)}
    leading = range(min(MEMORY_SAMPLES, len(points)))
    within = [i for i, c in enumerate(costs) if c and not budget.excess(c)][:MEMORY_WITHIN]
    chosen = [i for i in sorted({*leading, *within}) if costs[i]]
    found = _memories(setting, [points[i] for i in chosen], counter)
    for i, memory in zip(chosen, found, strict=True):
        if isinstance(memory, str):
            costs[i], broken[i] = {}, memory
        else:
            costs[i] = {**costs[i], **memory}
    return Survey(draw, tuple(costs), {"memory": len(leading)}, broken)


def _memories(setting: Setting, points: Sequence[Architecture], counter: Counter) -> list[Counted]:
    return counter.map(partial(count_memory, setting), points, "memories estimated")
