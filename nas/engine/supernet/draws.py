"""Which networks a step of a supernet's training takes beside the largest and the smallest."""

from __future__ import annotations

import random
from collections.abc import Mapping

from nas.study.samplers.counted_network import NetworkCounter
from nas.study.training_cost import TrainingCosts
from search_spaces.prior import draw_params
from search_spaces.space import Architecture, Option, Restrictions, SearchSpace
from search_spaces.supernet import Draws

POOL = 256  # networks, each counted once: in every step anew it would take longer than the step
TRIES = 8  # draws for each of them, where the budget refuses most


def draws_within(
    space: SearchSpace,
    restrict: Restrictions,
    prior: Mapping[str, Option],
    costs: TrainingCosts,
    *,
    count: int = 2,
    seed: int = 0,
    pool: int = POOL,
) -> Draws:
    """Draws of a pool within the budget, balanced over MACs.

    The pool is drawn from the prior, as the candidates of the search are. Raises ValueError where
    none of it is within the budget.
    """
    rng, counter = random.Random(seed), NetworkCounter(space, restrict, costs)
    found: dict[str, tuple[float, Architecture]] = {}
    for _ in range(TRIES * pool):
        if len(found) == pool:
            break
        network = counter.count(draw_params(space, restrict, rng, prior))
        if network and not costs.budget.excess(network.costs):
            point = counter.architecture(network.params)
            found[network.key] = network.costs["macs"], point
    if not found:
        raise ValueError(f"none of {TRIES * pool} networks is within the budget")
    return Draws(list(found.values()), count)
