"""The sampler that knows what every network costs, and models Dice alone."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial

from nas.pareto.budget import Budget
from nas.pareto.front import non_dominated
from nas.pareto.reference import REFERENCE
from nas.study.samplers.architecture_sampler import ArchitectureSampler, Params
from nas.study.samplers.counted_network import CountedNetwork, NetworkCounter
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.samplers.ehvi.guessed_costs import COUNTED, MEMORY, MemoryModel, guess_work
from nas.study.samplers.ehvi.guessed_scores import ScoreColumn
from nas.study.samplers.ehvi.landscape import Landscape
from nas.study.samplers.ehvi.observations import KEY, Observations
from nas.study.samplers.ehvi.pool import Pool
from nas.study.scores import Scores
from nas.study.study_settings import Costs
from nas.study.training_pace import TrainingPace
from search_spaces.space import Option, Restrictions, SearchSpace

ENOUGH = 4  # trained networks before a model is asked
PER_SECOND = 0.5  # power of the seconds that divides a promise: those of quick ones err most
RECENT = 1000  # trained networks by which the costs of others are guessed
COUNTS = 5  # networks that are counted for a proposal, which takes most of its time


class EHVISampler(ArchitectureSampler):
    """Proposes by expected hypervolume improvement over a pool of networks with exact costs.

    Parameters and multiply-accumulates are counted before a training, so that of the objectives
    only Dice has to be modelled, and roughly what is measured only. Where the input decides how
    many queries are computed, a network is believed to keep the share that trained ones kept. Of
    new draws of the prior and new mutants of the front those that seem most promising are counted
    and join the pool; of the pool the one is proposed that promises most for the time that it
    trains, of those for which there is some. The prior fades as the front and the model know more.

    With `scores` by shared weights the pool is what was scored, and the model of Dice sees them: it
    learns from trainings how far they can be trusted.
    """

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions,
        *,
        costs: Costs,
        pace: TrainingPace,
        objectives: Sequence[str],
        budget: Budget,
        prior: Mapping[str, Option],
        seed: int,
        scores: Scores | None = None,
    ) -> None:
        super().__init__(space, restrict, seed)
        self._objectives, self._budget, self._seed = objectives, budget, seed
        self._features = KnobFeatures(space, restrict, prior)
        self._counter, self._pace = NetworkCounter(space, restrict, costs), pace
        self._rng = rng = random.Random(seed)
        self._pool = Pool(space, restrict, prior, self._counter, budget, rng)
        self._scores = scores
        self._column: ScoreColumn | None = None
        self._seen = Observations(objectives, self._counter, budget)

    def propose(self, study: Study, trial: FrozenTrial) -> Params:
        seen = self._seen
        seen.update(study)
        fresh: list[Params] = []
        if self._scores:
            self._adopt(self._scores)
        else:
            front = [network.params for network in self._front()]
            fresh = self._pool.fresh(front, seen.proposed)
        if len(seen.trained) < ENOUGH:
            fresh = fresh or self._best_scores()
            return fresh[0] if fresh else self._pool.draw()
        others = [t for t in seen.running if t.number != trial.number and t.params]
        counted = (self._counter.count(t.params, t.user_attrs.get(KEY)) for t in others)
        pending = [network for network in counted if network]
        landscape = Landscape(
            self._features,
            seen,
            pending,
            self._objectives,
            self._budget,
            self._seed + trial.number,
            self._column,
        )
        trained = [observation.network for observation in seen.trained[-RECENT:]]
        memory = MemoryModel(trained, self._features)
        if fresh:
            known = [*trained, *self._pool.open(seen.proposed)]
            worth = self._worth(landscape, memory, guess_work(fresh, known, self._features))
            self._pool.add([fresh[place] for place in np.argsort(-worth)[:COUNTS]])
        networks = self._pool.open(seen.proposed)
        if not networks:
            return self._pool.draw()
        worth = self._worth(landscape, memory, networks)
        if not self._scores:
            self._pool.keep_best(networks, worth)
        best = (networks[place] for place in np.argsort(-worth)[:COUNTS] if worth[place] > 0)
        return next((n.params for n in best if self._pool.admits(n)), None) or self._pool.draw()

    def _worth(
        self, landscape: Landscape, memory: MemoryModel, networks: Sequence[CountedNetwork]
    ) -> np.ndarray:
        """(n,) the expected improvement by `PER_SECOND` of seconds.

        0 where there is no time, and for what seems to take too much memory.
        """
        costs = [network.costs for network in memory.complete(networks)]
        seconds = np.array([self._pace.seconds(each) or 1.0 for each in costs])
        limit = self._budget.memory or math.inf
        fits = [self._pace.fits(each) and each.get(MEMORY, 0) <= limit for each in costs]
        return np.where(fits, landscape.worth(networks) / seconds**PER_SECOND, 0.0)

    def _adopt(self, scores: Scores) -> None:
        """Once: by the first proposal, all networks are scored that will be."""
        if self._column is None:
            self._column = ScoreColumn(scores, self._features)
            self._pool.adopt([CountedNetwork(s.params, s.key, s.costs) for s in scores])

    def _best_scores(self) -> list[Params]:
        """Of the pool, those that score best at their costs, in any order."""
        networks = self._pool.open(self._seen.proposed)
        scored = [(n, s.dice) for n in networks if self._scores and (s := self._scores.get(n.key))]
        best = _non_dominated(scored, COUNTED)
        return [network.params for network in self._rng.sample(best, len(best))]

    def _front(self) -> list[CountedNetwork]:
        """Of what was trained to the end, above the reference."""
        whole = [(o.network, o.dice) for o in self._seen.trained if o.dice is not None]
        if not whole:
            return []
        least = REFERENCE * max(dice for _, dice in whole)
        whole = [(network, dice) for network, dice in whole if dice >= least]
        return _non_dominated(whole, [name for name in self._objectives if name != "dice"])


def _non_dominated(
    networks: Sequence[tuple[CountedNetwork, float]], costs: Sequence[str]
) -> list[CountedNetwork]:
    """Those whose Dice, told with each, no other reaches at such costs; of a cost that is not
    known, as of a device that is away, the worst is supposed."""
    if not networks:
        return []
    rows = [
        [*(one.at(1.0).costs.get(name, math.inf) for name in costs), -dice]
        for one, dice in networks
    ]
    kept = non_dominated(np.array(rows))
    return [network for (network, _), keep in zip(networks, kept, strict=True) if keep]
