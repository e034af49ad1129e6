"""Architectures as vectors, for models of Dice and latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from search_spaces.all_params import all_params
from search_spaces.space import Option, Restrictions, SearchSpace

Params = Mapping[str, Option]


class KnobFeatures:
    """One column an option of every knob at every path, then log10 of the costs and its square.

    A knob that a network does not have is zero in all its columns.
    """

    def __init__(self, space: SearchSpace, restrict: Restrictions) -> None:
        pairs = [
            (path, option)
            for path, options in all_params(space.kind, restrict).items()
            if len(options) > 1
            for option in options
        ]
        self._columns = {pair: column for column, pair in enumerate(pairs)}

    def matrix(self, params: Sequence[Params], log_costs: np.ndarray) -> np.ndarray:
        """(n, d) features of n networks. log_costs: (n, k)."""
        knobs = np.zeros((len(params), len(self._columns)))
        for row, chosen in enumerate(params):
            for pair in chosen.items():
                if (column := self._columns.get(pair)) is not None:
                    knobs[row, column] = 1.0
        return np.hstack([knobs, log_costs, log_costs**2])
