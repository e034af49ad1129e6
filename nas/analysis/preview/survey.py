"""What the drawn architectures cost: everything cheap of all, the rest of some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from nas.analysis.preview.parallel import Map
from nas.analysis.preview.sample_space import Draw
from nas.pareto.budget import Budget
from nas.study.training_cost import TrainingCosts
from search_spaces.space import Architecture

Answer = TypeVar("Answer")
Costs = dict[str, float]

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

    def sample(self, name: str) -> list[int]:
        """Positions of a random sample of the architectures of which that cost is known."""
        last = self.leading.get(name, len(self.costs))
        return [i for i, costs in enumerate(self.costs[:last]) if name in costs]

    def values(self, name: str) -> list[float]:
        """That cost over the sample."""
        return [self.costs[i][name] for i in self.sample(name)]

    def within(self, budget: Budget) -> list[int]:
        """Positions of those that no known cost keeps from being trained."""
        return [i for i, costs in enumerate(self.costs) if costs and not budget.excess(costs)]

    def spread(self, places: Sequence[int], count: int) -> list[int]:
        """`count` of the positions, even in rank by multiply-accumulates, the fewest first."""
        ranked = sorted(places, key=lambda i: self.costs[i]["macs"])
        if len(ranked) <= count:
            return ranked
        return [ranked[int((k + 0.5) * len(ranked) / count)] for k in range(count)]

    def with_latencies(self, name: str, found: Mapping[int, float]) -> Survey:
        """The same, once the latencies (ms) of that name were measured of some."""
        costs = list(self.costs)
        for i, value in found.items():
            costs[i] = {**costs[i], name: value}
        return replace(self, costs=tuple(costs))


def take_survey(draw: Draw, counting: TrainingCosts, parallel: Map) -> Survey:
    """Parameters and multiply-accumulates of all, memory of some: it takes longer."""
    points = draw.points
    counted = parallel(partial(_tried, counting.work), points, "architectures counted")
    costs = [{} if isinstance(one, str) else one for one in counted]
    broken = {i: one for i, one in enumerate(counted) if isinstance(one, str)}
    leading = range(min(MEMORY_SAMPLES, len(points)))
    within = [i for i, c in enumerate(costs) if c and not counting.budget.excess(c)][:MEMORY_WITHIN]
    chosen = [i for i in sorted({*leading, *within}) if costs[i]]
    memories = parallel(
        partial(_tried, counting.memory), [points[i] for i in chosen], "memories estimated"
    )
    for i, memory in zip(chosen, memories, strict=True):
        if isinstance(memory, str):
            costs[i], broken[i] = {}, memory
        else:
            costs[i] = {**costs[i], "memory": memory}
    return Survey(draw, tuple(costs), {"memory": len(leading)}, broken)


def log_bins(values: Sequence[float], bins: int) -> list[float]:
    """Edges of as many bins, evenly spaced in the logarithm, around all values."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    edges: list[float] = np.geomspace(0.99 * low, 1.01 * high, bins + 1).tolist()
    return edges


def all_costs(
    points: Sequence[Architecture], counting: TrainingCosts, parallel: Map
) -> list[Costs]:
    """Parameters, multiply-accumulates and memory; nothing of those that cannot be built."""
    count = partial(_tried, partial(_work_and_memory, counting))
    found = parallel(count, points, "known networks counted")
    return [{} if isinstance(one, str) else one for one in found]


def _work_and_memory(counting: TrainingCosts, architecture: Architecture) -> Costs:
    return {**counting.work(architecture), "memory": counting.memory(architecture)}


def _tried(count: Callable[[Architecture], Answer], architecture: Architecture) -> Answer | str:
    """What is counted, or why the network cannot be built."""
    try:
        return count(architecture)
    except Exception as error:  # whatever a network raises, it is the network's own end
        return f"cannot be built: {error}"
