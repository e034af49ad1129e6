"""Networks to find one's bearings by: the presets of the space, and plain well-known ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.analysis.preview.parallel import Map
from nas.analysis.preview.survey import Costs, all_costs
from nas.report.untrained import well_known
from nas.study.training_cost import TrainingCosts
from search_spaces.fitting import misfit_of_patch
from search_spaces.space import Architecture, Restrictions, SearchSpace, path_pattern, to_params


@dataclass(frozen=True)
class KnownNetwork:
    """A named network; `number` stands for it in figures.

    `baseline`: it is none of the space's presets. `reachable`: it is a point of the space as the
    run restricts it. `excess`: the limits that it exceeds, and by which factor.
    """

    number: int
    name: str
    architecture: Architecture
    baseline: bool
    reachable: bool
    costs: Costs
    excess: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """What names it, what it costs, whether the search may find it."""
        return {
            "number": self.number,
            "name": self.name,
            "space": self.architecture.space,
            "key": self.architecture.key,
            "in_space": self.reachable,
            **self.costs,
            "within_budget": not self.excess,
            "excess": dict(self.excess),
        }


def known_networks(
    space: SearchSpace, restrict: Restrictions, counting: TrainingCosts, parallel: Map
) -> list[KnownNetwork]:
    """The presets of the space, then the baselines; those that take the patch."""
    known, patch = well_known(space), counting.train.patch
    fitting = {name: one for name, one in known.items() if misfit_of_patch(one, patch) is None}
    costs = all_costs(list(fitting.values()), counting, parallel)
    built = [(n, a, c) for (n, a), c in zip(fitting.items(), costs, strict=True) if c]
    return [
        KnownNetwork(
            number,
            name,
            point,
            baseline=point.space != space.name,
            reachable=point.space == space.name and _allowed(point, restrict),
            costs=found,
            excess=counting.budget.excess(found),
        )
        for number, (name, point, found) in enumerate(built, start=1)
    ]


def _allowed(point: Architecture, restrict: Restrictions) -> bool:
    """Whether every choice that made `point` is left in the space."""
    params = to_params(point)
    return all(value in restrict.get(path_pattern(p), (value,)) for p, value in params.items())
