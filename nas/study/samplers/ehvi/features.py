"""Networks as vectors, for models of Dice, latency and costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.study.samplers.architecture_sampler import Params
from search_spaces.all_params import all_params
from search_spaces.space import Restrictions, SearchSpace, path_pattern


class KnobFeatures:
    """One column an option of every knob: how often a network has it, in all of its parts."""

    def __init__(self, space: SearchSpace, restrict: Restrictions) -> None:
        pairs = dict.fromkeys(
            (path_pattern(path), option)
            for path, options in all_params(space.kind, restrict).items()
            if len(options) > 1
            for option in options
        )
        self._columns = {pair: column for column, pair in enumerate(pairs)}

    def matrix(self, params: Sequence[Params]) -> np.ndarray:
        """(n, d) of n networks."""
        knobs = np.zeros((len(params), len(self._columns)))
        for row, chosen in enumerate(params):
            for path, option in chosen.items():
                if (column := self._columns.get((path_pattern(path), option))) is not None:
                    knobs[row, column] += 1.0
        return knobs
