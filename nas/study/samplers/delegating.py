"""A sampler that leaves every proposal to another one."""

from __future__ import annotations

from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial


class Delegate(BaseSampler):
    """Asks, for each trial, the sampler that `chosen` names, about the study that it names."""

    def chosen(self, study: Study, trial: FrozenTrial) -> tuple[BaseSampler, Study]:
        """Who proposes this trial, and which study that sampler is shown."""
        raise NotImplementedError

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        sampler, shown = self.chosen(study, trial)
        return sampler.infer_relative_search_space(shown, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        sampler, shown = self.chosen(study, trial)
        return sampler.sample_relative(shown, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        sampler, shown = self.chosen(study, trial)
        return sampler.sample_independent(shown, trial, param_name, param_distribution)
