"""The largest network of its kind that a budget takes: the top of the sandwich."""

from __future__ import annotations

from functools import cache

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
        best, low, high = self._scaled(architecture, 0.0), 0, STEPS
        while high - low > 1:
            middle = (low + high) // 2
            found = self._scaled(architecture, middle / STEPS)
            if self._fits(found):
                best, low = found, middle
            else:
                high = middle
        return best

    def _fits(self, architecture: Architecture) -> bool:
        counted = self._counter.count(to_params(architecture))
        return counted is not None and not self._budget.excess(counted.costs)

    def _scaled(self, like: Architecture, share: float) -> Architecture:
        return scaled(self._space, self._restrict, share, like)
