"""Which networks are to be scored with shared weights: evolution with a prior, by scores alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from nas.pareto.front import non_dominated
from nas.study.samplers.architecture_sampler import Params
from nas.study.samplers.nsga import VariationOperator
from nas.study.scores import Score, Scores
from nas.study.study_settings import StudySettings
from search_spaces.prior import draw_params
from search_spaces.space import Architecture, RandomTrial

FRESH = 0.5  # share of draws of the prior; the others are children of the front of scores
WORK = ("params", "macs")  # costs of that front: every network has them
ATTEMPTS = 20  # a network, after which the space counts as known


class Contenders:
    """Networks of a restricted space, each once: those to score `first`, then draws of the prior
    and children of what scores best at its costs."""

    def __init__(
        self, settings: StudySettings, scores: Scores, first: Sequence[Params] = ()
    ) -> None:
        self._space, self._restrict = settings.space, settings.restrict
        self._prior, self._scores, self._first = settings.prior, scores, list(first)
        seed = settings.seed + len(scores)  # each session draws on
        self._rng = random.Random(seed)
        self._variation = VariationOperator(settings.space, settings.restrict, seed)
        self._taken: set[str] = set()

    def next(self, count: int) -> list[Params]:
        """So many that were not scored or returned before; fewer once there seem to be no more."""
        front = self._front()
        found: list[Params] = []
        for _ in range(ATTEMPTS * count):
            if len(found) == count:
                break
            params = self._first.pop(0) if self._first else self._draw(front)
            key = self.network(params).key
            if key not in self._taken and key not in self._scores:
                self._taken.add(key)
                found.append(params)
        return found

    def network(self, params: Params) -> Architecture:
        """The one that these parameters describe."""
        return self._space.sample(RandomTrial(0, params), self._restrict)

    def give_back(self, params: Sequence[Params]) -> None:
        """Nobody scored these: they are the next."""
        self._taken -= {self.network(each).key for each in params}
        self._first = [*params, *self._first]

    def _draw(self, front: Sequence[Score]) -> Params:
        if not front or self._rng.random() < FRESH:
            return draw_params(self._space, self._restrict, self._rng, self._prior)
        parents = self._rng.sample(front, min(2, len(front)))
        return self._variation.child([parent.params for parent in parents])

    def _front(self) -> list[Score]:
        scores = list(self._scores)
        if not scores:
            return []
        rows = [[*(score.costs[name] for name in WORK), -score.dice] for score in scores]
        kept = non_dominated(np.array(rows))
        return [score for score, keep in zip(scores, kept, strict=True) if keep]
