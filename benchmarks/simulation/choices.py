"""The networks of a table as other packages see them: independent knobs, each with its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from search_spaces.all_params import all_params
from search_spaces.space import Option, RandomTrial, to_params

from .table import Table


class Choices:
    """`options` of every knob that has several; a choice is the place of one in each. Where a knob
    is idle, several choices are one network.

    `numbers`: the knobs whose options are numbers, in ascending order. `objectives`: how many.
    """

    def __init__(self, table: Table, objectives: Sequence[str]) -> None:
        self._space, self._restrict = table.within.space, table.within.restrict
        self._table = table
        self._costs = [name for name in objectives if name != "dice"]
        self.objectives = 1 + len(self._costs)
        trained = (self._space.from_json(row.architecture) for row in table.networks.values())
        active = {path for network in trained for path in to_params(network)}
        self.options: Mapping[str, tuple[Option, ...]] = {
            path: _sorted(options)
            for path, options in all_params(self._space.kind, self._restrict).items()
            if path in active and len(options) > 1
        }
        self.numbers = [path for path, options in self.options.items() if _are_numbers(options)]

    def key(self, places: Mapping[str, int]) -> str:
        """The network of this choice."""
        chosen = {path: options[places[path]] for path, options in self.options.items()}
        return self._space.sample(RandomTrial(0, chosen), self._restrict).key

    def losses(self, key: str, dice: float) -> list[float]:
        """Of a network, to be minimised: 1 - Dice, and log10 of every cost."""
        costs = self._table.networks[key].costs
        return [1 - dice, *(float(np.log10(costs[name])) for name in self._costs)]


def _sorted(options: tuple[Option, ...]) -> tuple[Option, ...]:
    return tuple(sorted(options)) if _are_numbers(options) else options  # type: ignore[type-var]


def _are_numbers(options: tuple[Option, ...]) -> bool:
    return all(isinstance(option, int | float) for option in options)
