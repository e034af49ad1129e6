"""NSGA-II and NSGA-III whose children are made from architectures, conditional knobs included.

Optuna's own children inherit only parameters that every trial has: the knobs of token stages, which
not every network has, are drawn at random for each of them. Here a child is a whole architecture.
Populations, non-dominated sorting, elitism and constraints stay Optuna's.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseGASampler, NSGAIIISampler, NSGAIISampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.pareto.front import non_dominated
from nas.study.samplers.architecture_sampler import Params, distributions
from search_spaces.space import (
    Option,
    RandomTrial,
    Restrictions,
    SearchSpace,
    sample,
    to_params,
)

ParamSet = frozenset[tuple[str, Option]]
ATTEMPTS = 128  # at a child that was not tried before


class UniformCrossover:
    """A trial whose parameters are those of one of two parents, knob by knob or for whole parts.

    Each part (a token stage, a layer) comes from one parent, from the other, or is crossed knob by
    knob, each in a third of the cases. A parameter that the preferred parent lacks is the other's;
    one that both lack is drawn.
    """

    def __init__(self, parents: Sequence[Params], rng: random.Random) -> None:
        self._parents, self._rng = parents, rng
        self._parts: dict[str, int | None] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        preferred = self._preferred(name)
        for parent in (self._parents[preferred], self._parents[1 - preferred]):
            if parent.get(name) in choices:
                return parent[name]
        return self._rng.choice(choices)

    def _preferred(self, path: str) -> int:
        for part in _parts(path):
            if part not in self._parts:
                self._parts[part] = self._rng.choice((0, 1, None))
            whole = self._parts[part]
            if whole is not None:
                return whole
        return self._rng.randrange(2)


def param_set(params: Params) -> ParamSet:
    """The parameters as one hashable value; several sets can be one network."""
    return frozenset(params.items())


def _parts(path: str) -> Iterator[str]:
    """`tokens.0.layers.1.gate` -> `tokens.0`, `tokens.0.layers.1`."""
    words = path.split(".")
    for i, word in enumerate(words):
        if word.isdigit():
            yield ".".join(words[: i + 1])


@dataclass(eq=False)
class VariationOperator:
    """Makes children by crossover and mutation: the parameters of whole architectures."""

    space: SearchSpace
    restrict: Restrictions | None = None
    seed: InitVar[int] = 0
    crossover_prob: float = 0.9
    mutation_prob: float = 0.5

    def __post_init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def cross(self, mother: Params, father: Params) -> Params:
        """A child whose every parameter is one of its parents', as far as they have it."""
        crossing = UniformCrossover((mother, father), self._rng)
        return to_params(sample(self.space.kind, crossing, self.restrict))

    def mutate(self, params: Params) -> Params:
        """Another option for one knob; knobs that it opens are drawn, those that it closes go."""
        options = self._options(params)
        free = [path for path, some in options.items() if len(some) > 1]
        if not free:
            return params
        path = self._rng.choice(free)
        option = self._rng.choice([o for o in options[path] if o != params[path]])
        trial = RandomTrial(self._rng.getrandbits(32), {**params, path: option})
        return to_params(sample(self.space.kind, trial, self.restrict))

    def child(self, parents: Sequence[Params], tried: Container[ParamSet] = ()) -> Params:
        """A child of one or two parents that is another network and was not `tried`, if possible.

        `mutation_prob` is the chance that a crossed child is mutated; an uncrossed one always is.
        """
        keys = {self.key(parent) for parent in parents}
        for _ in range(ATTEMPTS):
            crossed = len(parents) == 2 and self._rng.random() < self.crossover_prob
            child = self.cross(*parents) if crossed else parents[0]
            if not crossed or self._rng.random() < self.mutation_prob:
                child = self.mutate(child)
            if param_set(child) not in tried and self.key(child) not in keys:
                break
        return child

    def key(self, params: Params) -> str:
        """The key of the network that these parameters describe."""
        return self.space.sample(RandomTrial(0, params), self.restrict).key

    def parents(self, study: Study, population: Sequence[FrozenTrial]) -> list[Params]:
        """Two different members, each the winner of a binary tournament (Deb 2002, III-A)."""
        remaining = list(population)
        chosen: list[Params] = []
        while remaining and len(chosen) < 2:
            pair = self._rng.sample(remaining, min(2, len(remaining)))
            winner = pair[0] if _beats(pair[0], pair[-1], study.directions) else pair[-1]
            remaining.remove(winner)
            chosen.append(winner.params)
        return chosen

    def _options(self, params: Params) -> Mapping[str, tuple[Any, ...]]:
        trial = RandomTrial(0, params)
        sample(self.space.kind, trial, self.restrict)
        return trial.choices


class _OnArchitectures(BaseGASampler):
    """What both samplers have in common; stands before Optuna's in the order of methods."""

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions | None = None,
        *,
        population_size: int,
        crossover_prob: float = 0.9,
        mutation_prob: float = 0.5,
        seed: int = 0,
        elitism: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value in (("crossover_prob", crossover_prob), ("mutation_prob", mutation_prob)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} = {value}; expected a probability, 0 to 1")
        self._variation = VariationOperator(space, restrict, seed, crossover_prob, mutation_prob)
        self._distributions = distributions(space, restrict or {})
        self._tried: set[ParamSet] = set()
        self._read: set[int] = set()
        super().__init__(  # type: ignore[call-arg]  # Optuna's NSGA-II or NSGA-III is next
            population_size=population_size,
            seed=seed,
            child_generation_strategy=self._child,
            **(elitism or {}),
        )

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Every parameter there can be, not only those that all trials have."""
        return dict(self._distributions)

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Each network of a generation once, and none that its parents are."""
        known = {self._key(trial) for trial in self.get_parent_population(study, generation)}
        fresh = {self._key(trial): trial for trial in super().get_population(study, generation)}
        return [trial for key, trial in fresh.items() if key not in known]

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Whoever proposed it (a warm start, a start-up sampler), it joins a generation."""
        self.get_trial_generation(study, trial)
        super().after_trial(study, trial, state, values)

    def _child(
        self,
        study: Study,
        search_space: dict[str, BaseDistribution],
        parent_population: list[FrozenTrial],
    ) -> dict[str, Any]:
        self._read_tried(study)
        parents = self._variation.parents(study, parent_population)
        return dict(self._variation.child(parents, self._tried))

    def _read_tried(self, study: Study) -> None:
        for trial in study.get_trials(deepcopy=False):
            if trial.number not in self._read:
                self._tried.add(param_set(trial.params))
                if trial.state.is_finished():
                    self._read.add(trial.number)

    def _key(self, trial: FrozenTrial) -> str:
        return self._variation.key(trial.params)


class ArchitectureNSGAII(_OnArchitectures, NSGAIISampler):
    """NSGA-II (Deb et al. 2002) on architectures."""


class ArchitectureNSGAIII(_OnArchitectures, NSGAIIISampler):
    """NSGA-III (Deb & Jain 2014) on architectures, with the reference points of Optuna's."""

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions | None = None,
        *,
        dividing_parameter: int = 3,
        reference_points: Sequence[Sequence[float]] | None = None,
        **evolution: Any,
    ) -> None:
        points = None if reference_points is None else np.array(reference_points, dtype=float)
        elitism = {"dividing_parameter": dividing_parameter, "reference_points": points}
        super().__init__(space, restrict, elitism=elitism, **evolution)

    def select_parent(self, study: Study, generation: int) -> list[FrozenTrial]:
        """As Optuna's, which warns where all are infeasible: there is no finite value to scale."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
            return super().select_parent(study, generation)


def _beats(one: FrozenTrial, other: FrozenTrial, directions: Sequence[StudyDirection]) -> bool:
    """Constrained domination (Deb 2002, VI): feasible first, less violated next, better last."""
    violations = [sum(max(v, 0.0) for v in t.constraints.values()) for t in (one, other)]
    if any(violations):
        return violations[0] < violations[1]
    signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
    kept = non_dominated(np.array([one.values, other.values]) * signs)
    return bool(kept[0] and not kept[1])
