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
    """Counts every network once: params and macs, and the memory of those that are asked for."""

    def __init__(self, space: SearchSpace, restrict: Restrictions, costs: Costs) -> None:
        self._space, self._restrict = space, restrict
        self._work, self._costs = getattr(costs, "work", costs), costs
        self._known: dict[str, CountedNetwork | None] = {}

    def architecture(self, params: Params) -> Architecture:
        """The network of these parameters."""
        return self._space.sample(RandomTrial(0, params), self._restrict)

    def count(self, params: Params) -> CountedNetwork | None:
        """The network with its costs; None where it cannot be built, which the study will tell."""
        architecture = self.architecture(params)
        if architecture.key not in self._known:
            self._count(params, architecture, self._work)
        return self._known[architecture.key]

    def count_all(self, network: CountedNetwork) -> CountedNetwork | None:
        """The network with its memory, too, from now on."""
        self._count(network.params, self.architecture(network.params), self._costs)
        return self._known[network.key]

    def _count(self, params: Params, architecture: Architecture, costs: Costs) -> None:
        key = architecture.key
        try:
            self._known[key] = CountedNetwork(params, key, costs(architecture))
        except Exception:  # whatever a network raises
            self._known[key] = None
