"""Downhill, a knob at a time, until a network is within the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from nas.study.training_cost import TrainingCosts
from search_spaces.fitting import neighbours, takes
from search_spaces.space import Architecture, Restrictions

WIDTH = "width"  # the knob of that name costs the least Dice for what it saves


@dataclass(frozen=True)
class BudgetDistance:
    """A network on its way down: its costs, and by which factors it exceeds the budget."""

    architecture: Architecture
    costs: Mapping[str, float]
    excess: Mapping[str, float]

    @classmethod
    def of(cls, architecture: Architecture, count: TrainingCosts) -> Self:
        """How far the network is from the budget of `count`."""
        costs = count.limited(architecture)
        return cls(architecture, costs, count.budget.excess(costs))

    @property
    def key(self) -> tuple[bool, float]:
        """What distances are compared by; where memory is known it is nearer than where not."""
        worst = max(self.excess.values(), default=0.0)
        return bool(self.excess) and "memory" not in self.excess, worst


def descend(start: BudgetDistance, count: TrainingCosts, restrict: Restrictions) -> BudgetDistance:
    """The steepest way within the restricted space, to the budget or to a minimum above it."""
    here = start
    while here.excess:
        around = (
            BudgetDistance.of(near, count)
            for _, near in neighbours(here.architecture, restrict)
            if takes(near, count.train.patch)
        )
        nearest = min(around, key=lambda distance: distance.key, default=here)
        if nearest.key >= here.key:
            break
        here = nearest
    return here


def narrow(start: BudgetDistance, count: TrainingCosts, restrict: Restrictions) -> BudgetDistance:
    """The widest narrower network within the budget, else the narrowest there is."""
    thinner = {
        getattr(near, WIDTH): near
        for path, near in neighbours(start.architecture, restrict)
        if path == WIDTH and getattr(near, WIDTH) < getattr(start.architecture, WIDTH)
    }
    here = start
    for width in sorted(thinner, reverse=True):
        if not here.excess:
            break
        here = BudgetDistance.of(thinner[width], count)
    return here
