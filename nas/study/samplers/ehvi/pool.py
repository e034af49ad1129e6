"""Candidates with their costs, from which the next network is chosen."""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.study.samplers.nsga import Params, VariationOperator, param_set
from search_spaces.prior import PriorTrial
from search_spaces.space import (
    Architecture,
    RandomTrial,
    Restrictions,
    SearchSpace,
    sample,
    to_params,
)

FRESH = 8  # draws of the prior, and as many mutants, that join at every proposal
MOST = 400


@dataclass(frozen=True)
class Candidate:
    """`params`: what sampling asks for. `costs`: as far as they are counted."""

    params: Params
    key: str
    costs: Mapping[str, float]

    def log_costs(self, names: Sequence[str]) -> np.ndarray:
        """(k,) log10 of these costs."""
        return np.log10([max(self.costs[name], 1.0) for name in names])


class Pool:
    """Draws of the space's prior and mutants of a front, each network once."""

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions,
        costs: Callable[[Architecture], Mapping[str, float]],
        rng: random.Random,
    ) -> None:
        self._space, self._restrict, self._costs, self.rng = space, restrict, costs, rng
        self._variation = VariationOperator(space, restrict, rng.getrandbits(32))
        self._known: dict[str, Candidate | None] = {}  # by key; None: cannot be built
        self._open: dict[str, Candidate] = {}

    def of(self, params: Sequence[Params]) -> list[Candidate]:
        """These networks with their costs."""
        found = [self._candidate(each) for each in params]
        return [c for c in found if c is not None]

    def refill(self, front: Sequence[Candidate]) -> None:
        """Let new draws in, and mutants of the front."""
        for _ in range(FRESH):
            prior = PriorTrial(self._space, self.rng)
            self._add(to_params(sample(self._space.kind, prior, self._restrict)))
        for _ in range(FRESH if front else 0):
            self._add(self._variation.mutate(self.rng.choice(front).params))

    def candidates(self, proposed: Container[str]) -> list[Candidate]:
        """Those that were not proposed yet."""
        for key in [key for key in self._open if key in proposed]:
            del self._open[key]
        return list(self._open.values())

    def keep_best(self, candidates: Sequence[Candidate], worth: np.ndarray) -> None:
        """Forget what is worth least where there are too many."""
        for place in np.argsort(-worth)[MOST:]:
            del self._open[candidates[place].key]

    def _add(self, params: Params) -> None:
        candidate = self._candidate(params)
        if candidate is not None:
            self._open[candidate.key] = candidate

    def _candidate(self, params: Params) -> Candidate | None:
        architecture = self._space.sample(RandomTrial(0, params), self._restrict)
        key = architecture.key
        if key not in self._known:
            try:
                self._known[key] = Candidate(params, key, self._costs(architecture))
            except Exception:  # what cannot be built is no candidate; the study tells why
                self._known[key] = None
        return self._known[key]
