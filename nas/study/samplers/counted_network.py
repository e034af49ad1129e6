"""Networks with what they cost, which is known before they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas.study.samplers.architecture_sampler import Params
from nas.study.study_settings import Costs
from search_spaces.space import Architecture, RandomTrial, Restrictions, SearchSpace


@dataclass(frozen=True)
class CountedNetwork:
    """`params`: for which sampling gives the network of this `key`.

    Where the input decides how many queries are computed, `costs` has the multiply-accumulates of
    all, `least` those of none, and `kept` the share that a trained one was seen to compute.
    """

    params: Params
    key: str
    costs: Mapping[str, float]
    least: float | None = None
    kept: float | None = None

    def at(self, share: float) -> CountedNetwork:
        """With the multiply-accumulates at the share that it keeps, or at that one where nobody
        knows; itself where the input decides nothing."""
        if self.least is None:
            return self
        share = share if self.kept is None else self.kept
        macs = self.least + share * (self.costs["macs"] - self.least)
        return replace(self, costs={**self.costs, "macs": macs})


def log_costs(networks: Sequence[CountedNetwork], names: Sequence[str]) -> np.ndarray:
    """(n, k) log10 of the costs of these names; 0 where one is not known."""
    return np.log10([[network.costs.get(name, 1.0) for name in names] for network in networks])


def share_kept(trained: Sequence[CountedNetwork]) -> float:
    """What a network that was not trained is believed to keep of its queries: the mean of those
    that told, and of one that keeps all, as costs have it before anybody told."""
    told = [network.kept for network in trained if network.kept is not None]
    return (1 + sum(told)) / (1 + len(told))


class NetworkCounter:
    """Counts every network once: params and macs, and the memory of those that are asked for."""

    def __init__(self, space: SearchSpace, restrict: Restrictions, costs: Costs) -> None:
        self._space, self._restrict = space, restrict
        self._work, self._costs = getattr(costs, "work", costs), costs
        self._bounds = getattr(costs, "macs_bounds", None)
        self._known: dict[str, CountedNetwork | None] = {}

    def architecture(self, params: Params) -> Architecture:
        """The network of these parameters."""
        return self._space.sample(RandomTrial(0, params), self._restrict)

    def count(self, params: Params, key: str | None = None) -> CountedNetwork | None:
        """The network with its costs; None where it cannot be built, which the study will tell.

        `key`: the network's, where it is known, which saves working it out.
        """
        if key is not None and key in self._known:
            return self._known[key]
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
            counted = costs(architecture)
            bounds = self._bounds(architecture) if self._bounds else None
            self._known[key] = CountedNetwork(params, key, counted, bounds and bounds[0])
        except (OSError, MemoryError):  # which pass; see `Study`
            raise
        except Exception:  # whatever a network raises
            self._known[key] = None
