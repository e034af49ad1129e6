"""Networks that may be proposed: draws of the space's prior and mutants of the front."""

from __future__ import annotations

import random
from collections.abc import Container, Mapping, Sequence

import numpy as np

from nas.pareto.budget import Budget
from nas.study.samplers.architecture_sampler import Params
from nas.study.samplers.counted_network import CountedNetwork, NetworkCounter
from nas.study.samplers.nsga import VariationOperator
from search_spaces.prior import draw_params
from search_spaces.space import Option, Restrictions, SearchSpace

FRESH = 32  # draws of the prior, and as many mutants, at every proposal
MOST = 400  # networks that are kept


class Pool:
    """Networks within the budget that were not proposed yet, each once, with what they cost.

    Their memory is counted last, of those that are about to be proposed.
    """

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions,
        prior: Mapping[str, Option],
        counter: NetworkCounter,
        budget: Budget,
        rng: random.Random,
    ) -> None:
        self._space, self._restrict, self._prior = space, restrict, prior
        self._counter, self._budget, self._rng = counter, budget, rng
        self._variation = VariationOperator(space, restrict, rng.getrandbits(32))
        self._networks: dict[str, CountedNetwork] = {}

    def fresh(self, front: Sequence[Params], proposed: Container[str]) -> list[Params]:
        """New draws and mutants, not counted yet."""
        drawn = [self.draw() for _ in range(FRESH)]
        parents = self._rng.choices(front, k=FRESH) if front else []
        mutants = map(self._variation.mutate, parents)
        found = {self._counter.architecture(params).key: params for params in (*mutants, *drawn)}
        return [p for key, p in found.items() if key not in self._networks and key not in proposed]

    def adopt(self, networks: Sequence[CountedNetwork]) -> None:
        """Keep these, which others have counted, as far as they are within the budget."""
        for network in networks:
            if not self._budget.excess(network.costs):
                self._networks.setdefault(network.key, network)

    def draw(self) -> Params:
        """One of the prior."""
        return draw_params(self._space, self._restrict, self._rng, self._prior)

    def add(self, params: Sequence[Params]) -> None:
        """Count these, and keep what is within the budget."""
        for network in map(self._counter.count, params):
            if network and not self._budget.excess(network.costs):
                self._networks[network.key] = network

    def admits(self, network: CountedNetwork) -> bool:
        """Whether it is within the budget with its memory, too, which is kept; else it is
        forgotten."""
        whole = self._counter.count_all(network)
        if whole is None or self._budget.excess(whole.costs):
            del self._networks[network.key]
            return False
        self._networks[network.key] = whole  # left out for its time, it may be asked for again
        return True

    def open(self, proposed: Container[str]) -> list[CountedNetwork]:
        """All that were not proposed yet."""
        self._networks = {k: n for k, n in self._networks.items() if k not in proposed}
        return list(self._networks.values())

    def keep_best(self, networks: Sequence[CountedNetwork], worth: np.ndarray) -> None:
        """Forget what is worth least where there are too many."""
        for place in np.argsort(-worth)[MOST:]:
            del self._networks[networks[place].key]
