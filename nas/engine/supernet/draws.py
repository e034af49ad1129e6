"""Which networks a step of a supernet's training takes beside the largest and the smallest."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from nas.study.samplers.counted_network import NetworkCounter
from nas.study.training_cost import TrainingCosts
from search_spaces.prior import draw_params
from search_spaces.space import Architecture, Option, Restrictions, SearchSpace

POOL = 256  # networks, each counted once: in every step anew it would take longer than the step
TRIES = 8  # draws for each of them, where the budget refuses most
BINS = 8


class BudgetDraws:
    """`count` networks a step, of a pool within the budget, balanced over bins of their log MACs
    (AttentiveNAS, Wang 2021, Sec. 3.2): even draws are mostly of middling size.

    The pool is drawn from the prior, as the candidates of the search are. Raises ValueError where
    none of it is within the budget.
    """

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions,
        prior: Mapping[str, Option],
        costs: TrainingCosts,
        *,
        count: int = 2,
        seed: int = 0,
        pool: int = POOL,
    ) -> None:
        self.count = count
        rng, counter = random.Random(seed), NetworkCounter(space, restrict, costs)
        found: dict[str, tuple[float, Architecture]] = {}
        for _ in range(TRIES * pool):
            if len(found) == pool:
                break
            network = counter.count(draw_params(space, restrict, rng, prior))
            if network and not costs.budget.excess(network.costs):
                point = counter.architecture(network.params)
                found[network.key] = math.log(network.costs["macs"]), point
        if not found:
            raise ValueError(f"none of {TRIES * pool} networks is within the budget")
        self._bins = _binned(list(found.values()))

    def __call__(self, rng: random.Random) -> list[Architecture]:
        """The networks of the next step; `rng` decides alone."""
        return [rng.choice(rng.choice(self._bins)) for _ in range(self.count)]


def _binned(pool: list[tuple[float, Architecture]]) -> list[list[Architecture]]:
    """Of equal width between the smallest and the largest; those without a network are left out."""
    low, high = min(pool, key=lambda one: one[0])[0], max(pool, key=lambda one: one[0])[0]
    width = (high - low) / BINS or 1.0
    bins: list[list[Architecture]] = [[] for _ in range(BINS)]
    for macs, point in pool:
        bins[min(BINS - 1, int((macs - low) / width))].append(point)
    return [members for members in bins if members]
