"""How good the complete networks of a search are: hypervolume, of the table's own front 1.

Dice is taken as it is and costs as log10. Every objective is scaled such that the front of the
whole table (the best networks of all training seeds together) spans [0, 1]; the reference point is
1.1 in each, so that the ends of the front count. A search is measured by the hypervolume of its
complete trainings, divided by that of all networks of the table in the same training seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import moocore
import numpy as np

from nas.pareto.front import non_dominated

from .replay import Completion
from .table import Network, Table

REFERENCE = 1.1


class Quality:
    """Hypervolume on `table` for `objectives`: dice and costs, by name."""

    def __init__(self, table: Table, objectives: Sequence[str]) -> None:
        self._table, self._objectives = table, objectives
        self._wholes: dict[int, float] = {}

    def of(self, keys: Iterable[str], seed: int) -> float:
        """Relative hypervolume of the networks named `keys`, trained with `seed`: 0 to 1."""
        points = [self._point(self._table.networks[key], seed) for key in keys]
        return self._volume(points) / self._whole(seed) if points else 0.0

    def steps(self, completions: Sequence[Completion], seed: int, budget: int) -> np.ndarray:
        """(budget + 1,) relative hypervolume after 0, 1, ... `budget` trained epochs."""
        values = np.zeros(budget + 1)
        seen: dict[str, None] = {}
        for trained, key in completions:
            if key not in seen:
                seen[key] = None
                values[trained:] = self.of(seen, seed)
        return values

    def _whole(self, seed: int) -> float:
        """Hypervolume of every network of the table; two seeds are equal where all curves are."""
        if seed not in self._wholes:
            networks = self._table.networks.values()
            self._wholes[seed] = self._volume([self._point(n, seed) for n in networks])
        return self._wholes[seed]

    def _point(self, network: Network, seed: int) -> np.ndarray:
        """(m,), to be minimised, scaled."""
        low, high = self._range
        return (self._raw(network, seed) - low) / (high - low)

    def _raw(self, network: Network, seed: int) -> np.ndarray:
        values = [
            -network.curve(seed)[-1] if name == "dice" else np.log10(network.costs[name])
            for name in self._objectives
        ]
        return np.array(values)

    @cached_property
    def _range(self) -> tuple[np.ndarray, np.ndarray]:
        """The ideal and the nadir point of the table's front."""
        points = np.array(
            [
                self._raw(network, seed)
                for network in self._table.networks.values()
                for seed in range(len(network.curves))
            ]
        )
        front = points[non_dominated(points)]
        return front.min(axis=0), front.max(axis=0)

    def _volume(self, points: Sequence[np.ndarray]) -> float:
        return float(moocore.hypervolume(np.array(points), ref=REFERENCE))
