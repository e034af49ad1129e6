"""Downhill, a knob at a time, until a network is within the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from nas.config.run_config import RunConfig
from nas.cost.count import cost_of
from nas.study.training_cost import footprint
from search_spaces.fitting import neighbours, takes
from search_spaces.space import Architecture

WIDTH = "width"  # the knob of that name costs the least Dice for what it saves


@dataclass(frozen=True)
class Place:
    """A network on its way down: its costs, and by which factors it exceeds the budget."""

    architecture: Architecture
    costs: Mapping[str, float]
    excess: Mapping[str, float]

    @classmethod
    def of(cls, architecture: Architecture, config: RunConfig, channels: int, classes: int) -> Self:
        """Memory is counted only where it is limited; see `footprint` for when it is left out."""
        if config.budget.memory is None:
            cost = cost_of(architecture, channels, classes, config.train.patch)
            costs: dict[str, float] = {"params": cost.params, "macs": cost.macs}
        else:
            costs = footprint(architecture, config, channels, classes)
        return cls(architecture, costs, config.budget.excess(costs))

    @property
    def height(self) -> tuple[bool, float]:
        """How far from the budget; a place where memory is known is below all where it is not."""
        worst = max(self.excess.values(), default=0.0)
        return bool(self.excess) and "memory" not in self.excess, worst


def descend(place: Place, config: RunConfig, channels: int, classes: int) -> Place:
    """The steepest way within the restricted space, to the budget or to a minimum above it."""
    while place.excess:
        around = (
            Place.of(near, config, channels, classes)
            for _, near in neighbours(place.architecture, config.space.restrict)
            if takes(near, config.train.patch)
        )
        lowest = min(around, key=lambda p: p.height, default=place)
        if lowest.height >= place.height:
            break
        place = lowest
    return place


def narrow(place: Place, config: RunConfig, channels: int, classes: int) -> Place:
    """The widest narrower network within the budget, else the narrowest there is."""
    thinner = {
        getattr(near, WIDTH): near
        for path, near in neighbours(place.architecture, config.space.restrict)
        if path == WIDTH and getattr(near, WIDTH) < getattr(place.architecture, WIDTH)
    }
    for width in sorted(thinner, reverse=True):
        if not place.excess:
            break
        place = Place.of(thinner[width], config, channels, classes)
    return place
