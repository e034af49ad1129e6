"""What only the space and the data together can tell: is this search possible at all?"""

from __future__ import annotations

from nas.study.samplers.fit_to_budget import BudgetDistance, descend
from nas.study.training_cost import TrainingCosts
from search_spaces.space import RandomTrial, Restrictions, SearchSpace, sample
from trainers.errors import UserError

NEAREST_OF = 8  # random networks, where the descent to the budget begins


def check_feasible(space: SearchSpace, restrict: Restrictions, count: TrainingCosts) -> None:
    """Refuse a search that cannot work, before anything is trained.

    Raises UserError where a budget is below the smallest network that could be found.
    """
    if set(count.budget.limits()) - {"latency_ms"}:
        points = [  # not canonical: neighbours with more steps need axes that these do not
            sample(space.kind, RandomTrial(seed), restrict).with_axes(space.axes)
            for seed in range(NEAREST_OF)
        ]
        distances = [BudgetDistance.of(point, count) for point in points]
        nearest = min(distances, key=lambda distance: distance.key)
        found = descend(nearest, count, restrict)
        if found.excess:
            raise UserError(
                f"no architecture of {space.name} meets {count.budget.missed_by(found.costs)}; "
                "raise the budget, or allow smaller networks in space.restrict"
            )
