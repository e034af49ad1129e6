"""Networks to find one's bearings by: the presets of the space, and plain well-known ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nas.analysis.preview.parallel_costs import Costs, Counter, Setting, count_memory, count_work
from nas.config.run_config import RunConfig
from search_spaces.fitting import misfit
from search_spaces.registry import find_space
from search_spaces.space import Architecture, Restrictions, path_pattern, to_params

BASELINES = "baselines"


@dataclass(frozen=True)
class Reference:
    """A named network. `reachable`: it is a point of the space as the run restricts it.

    `excess`: the limits that it exceeds, and by which factor.
    """

    name: str
    architecture: Architecture
    reachable: bool
    costs: Costs
    excess: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """What names it, what it costs, whether the search may find it."""
        return {
            "name": self.name,
            "space": self.architecture.space,
            "key": self.architecture.key,
            "in_space": self.reachable,
            **self.costs,
            "within_budget": not self.excess,
            "excess": dict(self.excess),
        }


def references(config: RunConfig, setting: Setting, counter: Counter) -> list[Reference]:
    """The presets of the run's space, then the baselines; those that take the patch."""
    space, restrict = config.space.space(), config.space.restrict
    named = {**space.presets(), **find_space(BASELINES).presets()}
    fitting = {n: a for n, a in named.items() if misfit(a, setting.train.patch) is None}
    costs = reference_costs(setting, list(fitting.values()), counter)
    return [
        Reference(
            name,
            point,
            point.space == space.name and _allowed(point, restrict),
            known,
            config.budget.excess(known),
        )
        for (name, point), known in zip(fitting.items(), costs, strict=True)
        if known
    ]


def reference_costs(
    setting: Setting, points: Sequence[Architecture], counter: Counter
) -> list[Costs]:
    """Everything that is known without running them; nothing of those that cannot be built."""
    both = [
        counter.map(partial(count, setting), points, "known networks counted")
        for count in (count_work, count_memory)
    ]
    return [
        {} if isinstance(work, str) or isinstance(memory, str) else {**work, **memory}
        for work, memory in zip(*both, strict=True)
    ]


def _allowed(point: Architecture, restrict: Restrictions) -> bool:
    """Whether every choice that made `point` is left in the space."""
    answers = to_params(point)
    allowed = {path: restrict.get(path_pattern(path), (value,)) for path, value in answers.items()}
    return all(value in allowed[path] for path, value in answers.items())
