"""A sampler that leaves every proposal to another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState


class Delegate(BaseSampler):
    """Asks, for each trial, the sampler that `choose` names, about the study that it names.

    `model` hears of every trial that ends, whoever proposed it.
    """

    def __init__(self, model: BaseSampler) -> None:
        self._model = model
        self._chosen: tuple[int, BaseSampler, Study] | None = None

    def choose(self, study: Study, trial: FrozenTrial) -> tuple[BaseSampler, Study]:
        """Who proposes this trial, and which study that sampler is shown; asked once a trial."""
        raise NotImplementedError

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        self._model.after_trial(study, trial, state, values)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        sampler, shown = self._of(study, trial)
        return sampler.infer_relative_search_space(shown, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        sampler, shown = self._of(study, trial)
        return sampler.sample_relative(shown, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        sampler, shown = self._of(study, trial)
        return sampler.sample_independent(shown, trial, param_name, param_distribution)

    def _of(self, study: Study, trial: FrozenTrial) -> tuple[BaseSampler, Study]:
        if self._chosen is None or self._chosen[0] != trial.number:
            self._chosen = trial.number, *self.choose(study, trial)
        return self._chosen[1:]
