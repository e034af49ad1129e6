"""What only the space and the data together can tell: is this search possible at all?"""

from __future__ import annotations

from collections.abc import Sequence

from nas.study.samplers.fit_to_budget import BudgetDistance, descend
from nas.study.training_cost import TrainingCosts
from search_spaces.fitting import divides
from search_spaces.space import Architecture, RandomTrial, Restrictions, SearchSpace
from trainers.errors import UserError

SAMPLES = 64
NEAREST_OF = 8  # of these, where the descent to the budget begins


def check_feasible(space: SearchSpace, restrict: Restrictions, count: TrainingCosts) -> None:
    """Refuse a search that cannot work, before anything is trained.

    Raises UserError where a stride of the space does not divide the patch, or where a budget is
    below the smallest network that could be found.
    """
    points = [space.sample(RandomTrial(seed), restrict) for seed in range(SAMPLES)]
    _check_patch(points, count.train.patch)
    if set(count.budget.limits()) - {"latency_ms"}:
        distances = [BudgetDistance.of(point, count) for point in points[:NEAREST_OF]]
        nearest = min(distances, key=lambda distance: distance.key)
        found = descend(nearest, count, restrict)
        if found.excess:
            raise UserError(
                f"no architecture of {space.name} meets {count.budget.missed_by(found.costs)}; "
                "raise the budget, or allow smaller networks in space.restrict"
            )


def _check_patch(points: Sequence[Architecture], patch: Sequence[int]) -> None:
    strides = sorted({point.stride() for point in points})
    unfit = sorted({p.stride() for p in points if not divides(p, patch)})
    if unfit:
        worst = unfit[-1]
        fitting = [-(-length // worst) * worst for length in patch]
        raise UserError(
            f"train.patch = {list(patch)}: networks of this space have stride "
            f"{', '.join(map(str, strides))}, and {worst} does not divide it; use a patch such as "
            f"{fitting}, or leave the networks of stride {worst} out with space.restrict"
        )
    if all(length == strides[-1] for length in patch):
        raise UserError(
            f"train.patch = {list(patch)} is a single voxel at stride {strides[-1]}, which cannot "
            f"be normalised; use a larger patch, such as {[2 * length for length in patch]}"
        )
