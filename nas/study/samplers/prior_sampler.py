"""Random proposals of the kind that people build, at all sizes."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping

from optuna import Study
from optuna.trial import FrozenTrial

from nas.pareto.budget import Budget
from nas.study.samplers.architecture_sampler import ArchitectureSampler, Params
from nas.study.samplers.counted_network import CountedNetwork, NetworkCounter
from nas.study.study_settings import Costs
from nas.study.training_pace import TrainingPace
from search_spaces.prior import draw_params
from search_spaces.space import Option, Restrictions, SearchSpace

DRAWS = 4  # of which one is proposed
SIZE = "params"


class PriorSampler(ArchitectureSampler):
    """Draws from the space's prior, such that every octave of parameters gets its share.

    Of some draws within the budget, and for which there is time, it proposes one of the octave that
    has been proposed least, whoever proposed it: small networks are rare among even draws, and
    large ones among those that a budget leaves.
    """

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions,
        *,
        costs: Costs,
        pace: TrainingPace,
        budget: Budget,
        prior: Mapping[str, Option],
        seed: int,
    ) -> None:
        super().__init__(space, restrict, seed)
        self._space, self._restrict, self._prior = space, restrict, prior
        self._counter = NetworkCounter(space, restrict, costs)
        self._budget, self._pace = budget, pace
        self._rng = random.Random(seed)

    def propose(self, study: Study, trial: FrozenTrial) -> Params:
        drawn = [
            draw_params(self._space, self._restrict, self._rng, self._prior) for _ in range(DRAWS)
        ]
        counted = [c for c in map(self._counter.count, drawn) if c]
        before = study.get_trials(deepcopy=False)[: trial.number]
        earlier = [c for t in before if t.params and (c := self._counter.count(t.params))]
        tried, taken = {c.key for c in earlier}, Counter(map(_octave, earlier))
        new = sorted((c for c in counted if c.key not in tried), key=lambda c: taken[_octave(c)])
        return next((c.params for c in new if self._fits(c)), drawn[0])

    def _fits(self, network: CountedNetwork) -> bool:
        if not (whole := self._counter.count_all(network)):
            return False
        return not self._budget.excess(whole.costs) and self._pace.fits(whole.costs)


def _octave(network: CountedNetwork) -> int:
    return math.floor(math.log2(network.costs.get(SIZE, 1.0)))
