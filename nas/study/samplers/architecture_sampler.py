"""Samplers that propose whole architectures, conditional knobs included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search_spaces.all_params import all_params
from search_spaces.space import Option, Restrictions, SearchSpace

Params = Mapping[str, Option]


def distributions(space: SearchSpace, restrict: Restrictions) -> dict[str, BaseDistribution]:
    """Of every parameter that sampling the restricted space can ask for and that is a choice."""
    return {
        path: CategoricalDistribution(options)
        for path, options in all_params(space.kind, restrict).items()
        if len(options) > 1
    }


class ArchitectureSampler(BaseSampler):
    """Asks `propose` for all parameters of a trial at once; what they lack is drawn evenly."""

    def __init__(self, space: SearchSpace, restrict: Restrictions, seed: int) -> None:
        self._distributions = distributions(space, restrict)
        self._rest = RandomSampler(seed)

    def propose(self, study: Study, trial: FrozenTrial) -> Params:
        """The parameters of the network that this trial is to train."""
        raise NotImplementedError

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Every parameter there can be, not only those that all trials have."""
        return dict(self._distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {n: v for n, v in self.propose(study, trial).items() if n in search_space}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._rest.sample_independent(study, trial, param_name, param_distribution)
