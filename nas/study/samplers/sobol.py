"""Proposals that cover the options of every knob more evenly than random ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial
from scipy.stats.qmc import Sobol

SEED = "quasi-random seed"  # attribute of the study


def proposals_before(study: Study, number: int) -> int:
    """How many trials before this one were a sampler's; warm starts and repeated starts are not."""
    earlier = study.get_trials(deepcopy=False)[:number]
    return sum("fixed_params" not in trial.system_attrs for trial in earlier)


class QuasiRandomSampler(RandomSampler):
    """A scrambled Sobol sequence (Sobol 1967, Owen 1998) with a coordinate for every parameter.

    `paths`: of `params_as_added`. Each list is scrambled on its own: a knob that a space is given
    later leaves the coordinates of the others as they were.

    The n-th proposal of a study is the n-th point, whoever made those between, and the study keeps
    the seed of the scrambling: another process goes on where the last one ended. Optuna's
    QMCSampler knows only the parameters that its first trial has, draws all others at random
    and begins with a random trial.
    """

    def __init__(self, paths: Sequence[Sequence[str]], seed: int) -> None:
        super().__init__(seed)
        self._lists = [len(paths_added) for paths_added in paths]
        self._axes = {path: axis for axis, path in enumerate(chain.from_iterable(paths))}
        self._seed = seed
        self._points: tuple[int, np.ndarray] | None = None

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The option in whose equal share of [0, 1) the parameter's coordinate lies."""
        assert isinstance(param_distribution, CategoricalDistribution)
        choices = param_distribution.choices
        return choices[int(self._point(study, trial.number)[self._axes[param_name]] * len(choices))]

    def _point(self, study: Study, number: int) -> np.ndarray:
        if self._points is None or self._points[0] != number:
            skipped, seed = proposals_before(study, number), self._seed_of(study)
            parts = [_added(self._lists[: n + 1], seed, skipped) for n in range(len(self._lists))]
            self._points = number, np.concatenate(parts)
        return self._points[1]

    def _seed_of(self, study: Study) -> int:
        kept = study.user_attrs.get(SEED)
        if kept is None:
            study.set_user_attr(SEED, self._seed)
            return self._seed
        return int(kept)


def _added(lists: Sequence[int], seed: int, skipped: int) -> np.ndarray:
    """Of a point of a sequence for all of these lists of coordinates, those of the last one."""
    rng = np.random.default_rng(seed if len(lists) == 1 else [seed, len(lists)])
    sequence = Sobol(sum(lists), rng=rng)
    if skipped:
        sequence.fast_forward(skipped)
    return sequence.random(1)[0, sum(lists[:-1]) :]
