"""The sampler that knows what every candidate costs, and models Dice alone."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial
from scipy.stats.qmc import Sobol
from sklearn.linear_model import BayesianRidge

from nas.pareto.budget import Budget
from nas.study.samplers.ehvi.improvement import best_within, improvement
from nas.study.samplers.ehvi.knob_features import KnobFeatures
from nas.study.samplers.ehvi.observations import Observations
from nas.study.samplers.ehvi.pool import Candidate, Pool
from search_spaces.all_params import all_params
from search_spaces.space import Architecture, Restrictions, SearchSpace

LIMITS = 512  # quasi-random cost limits that an improvement is averaged over
ENOUGH = 4  # trained networks before a model is asked


class EHVISampler(BaseSampler):
    """Proposes by expected hypervolume improvement over a pool of candidates with exact costs.

    Parameters and multiply-accumulates are counted before a training, so that of the objectives
    only Dice (and latency, roughly) has to be modelled: by Bayesian ridge regression on knobs and
    log costs. The pool holds networks drawn by the space's prior and mutants of the front's
    members. What is being trained counts with the Dice that is expected of it.
    """

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions,
        costs: Callable[[Architecture], Mapping[str, float]],
        objectives: Sequence[str],
        budget: Budget,
        *,
        seed: int,
        startup: int,
    ) -> None:
        self._distributions: dict[str, BaseDistribution] = {
            path: CategoricalDistribution(options)
            for path, options in all_params(space.kind, restrict).items()
            if len(options) > 1
        }
        self._independent = RandomSampler(seed)
        self._features = KnobFeatures(space, restrict)
        self._known = [name for name in objectives if name in ("params", "macs", "memory")] or [
            "params"
        ]
        self._times = "latency_ms" in objectives
        self._budget, self._startup, self._seed = budget, startup, seed
        self._pool = Pool(space, restrict, costs, random.Random(seed))
        self._seen = Observations()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Every parameter there can be."""
        return dict(self._distributions)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Of a knob with one option, or where the pool is empty."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The choices of the most promising candidate."""
        self._seen.update(study)
        tried = self._pool.of([o.params for o in self._seen.trained])
        pending = self._pool.of(
            [t.params for t in self._seen.running if t.number != trial.number]
        )
        front = self._front(tried)
        self._pool.refill(front)
        candidates = self._pool.candidates(self._seen.proposed)
        if not candidates:
            return {}
        if len(tried) + len(pending) < self._startup or len(tried) < ENOUGH:
            chosen = self._spread(candidates, [*tried, *pending])
        else:
            chosen = self._most_promising(candidates, tried, pending, trial.number)
        return {n: v for n, v in chosen.params.items() if n in search_space}

    def _front(self, tried: Sequence[Candidate]) -> list[Candidate]:
        dice = [o.dice for o in self._seen.trained]
        rows = [
            (*c.log_costs(self._known), -d) for c, d in zip(tried, dice, strict=True) if d is not None
        ]
        whole = [c for c, d in zip(tried, dice, strict=True) if d is not None]
        if not whole:
            return []
        from nas.pareto.front import non_dominated

        kept = non_dominated(np.array(rows))
        return [c for c, keep in zip(whole, kept, strict=True) if keep]

    def _spread(
        self, candidates: Sequence[Candidate], taken: Sequence[Candidate]
    ) -> Candidate:
        """One of the octave of costs that has been proposed from least."""
        name = self._known[0]

        def octave(c: Candidate) -> int:
            return math.floor(math.log2(c.costs[name]))

        counts = {octave(c): 0 for c in candidates}
        for c in taken:
            if octave(c) in counts:
                counts[octave(c)] += 1
        fewest = min(counts.values())
        octaves = sorted(o for o, n in counts.items() if n == fewest)
        chosen = self._pool.rng.choice(octaves)
        return self._pool.rng.choice([c for c in candidates if octave(c) == chosen])

    def _most_promising(
        self,
        candidates: Sequence[Candidate],
        tried: Sequence[Candidate],
        pending: Sequence[Candidate],
        number: int,
    ) -> Candidate:
        everyone = [*tried, *pending, *candidates]
        n, m = len(tried), len(tried) + len(pending)
        costs = np.array([c.log_costs(self._known) for c in everyone])
        counted = np.array([c.log_costs(("params", "macs")) for c in everyone])
        scaled = (counted - counted.mean(axis=0)) / (counted.std(axis=0) + 1e-9)
        x = self._features.matrix([c.params for c in everyone], scaled)
        y = np.array(self._seen.final_dice())
        whole = np.array([o.dice is not None for o in self._seen.trained])
        reference = 0.9 * y.max()
        model = BayesianRidge().fit(x[:n], np.maximum(y, reference - 0.05))
        mean, std = model.predict(x[n:], return_std=True)
        std = np.sqrt(np.maximum(std**2 - 1 / model.alpha_, 1e-8))
        if self._times:
            costs = np.column_stack([costs, self._log_latency(x, n)])
        base = np.flatnonzero(whole)
        front_costs = np.vstack([costs[:n][base], costs[n:m]])
        front_dice = np.concatenate([y[base], mean[: m - n]])
        low, high = costs.min(axis=0), costs.max(axis=0)
        for column, name in enumerate(self._known):
            if limit := self._budget.limits().get(name):
                high[column] = math.log10(limit)
        limits = Sobol(costs.shape[1], rng=self._seed + number).random(LIMITS)
        limits = low + limits * (high - low)
        best = best_within(limits, front_costs, front_dice, reference)
        gains = improvement(limits, best, costs[m:], mean[m - n :], std[m - n :])
        self._pool.keep_best(candidates, gains)
        return candidates[int(gains.argmax())]

    def _log_latency(self, x: np.ndarray, n: int) -> np.ndarray:
        known = [
            (place, o.latency_ms) for place, o in enumerate(self._seen.trained) if o.latency_ms
        ]
        if len(known) < ENOUGH:
            return np.zeros(len(x))
        places, values = zip(*known, strict=True)
        logs = np.log10(np.array(values))
        model = BayesianRidge().fit(x[list(places)], logs)
        told = np.asarray(model.predict(x))
        told[list(places)] = logs
        return told
