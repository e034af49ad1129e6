"""Networks with what they cost, which is known before they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.study.samplers.architecture_sampler import Params
from nas.study.study_settings import Costs
from search_spaces.space import Architecture, RandomTrial, Restrictions, SearchSpace


@dataclass(frozen=True)
class CountedNetwork:
    """`params`: for which sampling gives the network of this `key`."""

    params: Params
    key: str
    costs: Mapping[str, float]

    def log_costs(self, names: Sequence[str]) -> np.ndarray:
        """(k,) log10 of the costs of these names; 0 where one is not known."""
        return np.log10([self.costs.get(name, 1.0) for name in names])


class NetworkCounter:
    """Counts every network once."""

    def __init__(self, space: SearchSpace, restrict: Restrictions, costs: Costs) -> None:
        self._space, self._restrict, self._costs = space, restrict, costs
        self._known: dict[str, CountedNetwork | None] = {}

    def architecture(self, params: Params) -> Architecture:
        """The network of these parameters."""
        return self._space.sample(RandomTrial(0, params), self._restrict)

    def count(self, params: Params) -> CountedNetwork | None:
        """The network with its costs; None where it cannot be built, which the study will tell."""
        architecture = self.architecture(params)
        key = architecture.key
        if key not in self._known:
            try:
                costs = self._costs(architecture)
            except Exception:  # whatever a network raises
                self._known[key] = None
            else:
                self._known[key] = CountedNetwork(params, key, costs)
        return self._known[key]
