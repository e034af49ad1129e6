"""The largest network of its kind that a budget takes: the top of the sandwich."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache, partial

from nas.study.samplers.counted_network import NetworkCounter
from nas.study.training_cost import TrainingCosts
from search_spaces.elastic import scaled
from search_spaces.space import Architecture, Restrictions, SearchSpace, to_params

STEPS = 16  # from the smallest network of a kind to the largest


class LargestWithin:
    """Called with a network, returns the largest of the same kinds that the budget takes.

    All sizes grow together from the smallest network to the largest (compound scaling, Tan 2019);
    of `STEPS` on that way the last one within the budget is found by bisection, and remembered. The
    memory of a training step is left aside. A network that is within the budget is itself the
    answer, and where the smallest is over it, that one is.
    """

    def __init__(self, space: SearchSpace, restrict: Restrictions, costs: TrainingCosts) -> None:
        self._space, self._restrict, self._budget = space, restrict, costs.budget
        self._counter = NetworkCounter(space, restrict, costs)
        self._find = cache(self._bisect)

    def __call__(self, architecture: Architecture) -> Architecture:
        return self._find(architecture)

    def _bisect(self, architecture: Architecture) -> Architecture:
        if self._fits(architecture):
            return architecture
        at = partial(scaled, self._space, self._restrict, like=architecture)
        last = bisect_left(range(1, STEPS), True, key=lambda n: not self._fits(at(n / STEPS)))
        return at(last / STEPS)

    def _fits(self, architecture: Architecture) -> bool:
        counted = self._counter.count(to_params(architecture))
        return counted is not None and not self._budget.excess(counted.costs)
