"""What only the space and the data together can tell: is this search possible at all?"""

from __future__ import annotations

from nas.study.samplers.fit_to_budget import BudgetDistance, descend
from nas.study.training_cost import TrainingCosts
from search_spaces.meta_network import build_on_meta
from search_spaces.space import RandomTrial, Restrictions, SearchSpace, sample
from trainers.errors import UserError
from trainers.offers import decoder_stages

NEAREST_OF = 8  # random networks, where the descent to the budget begins


def check_feasible(space: SearchSpace, restrict: Restrictions, count: TrainingCosts) -> None:
    """Refuse a search that cannot work, before anything is trained.

    Raises UserError where a budget is below the smallest network that could be found, and for deep
    supervision where none of some random networks has stages for it. A space may mix networks with
    and without: the latter are trained without.
    """
    points = [  # not canonical: neighbours with more steps need axes that these do not
        sample(space.kind, RandomTrial(seed), restrict).with_axes(space.axes)
        for seed in range(NEAREST_OF)
    ]
    if count.train.deep_supervision and not any(
        decoder_stages(build_on_meta(point, count.channels, count.classes)) for point in points
    ):
        raise UserError(
            f"train.deep_supervision: of {NEAREST_OF} networks of {space.name} none has decoder "
            "stages coarser than its logits to supervise; set train.deep_supervision=false"
        )
    if count.budget.limits_counted():
        distances = [BudgetDistance.of(point, count) for point in points]
        nearest = min(distances, key=lambda distance: distance.key)
        found = descend(nearest, count, restrict)
        if found.excess:
            raise UserError(
                f"no architecture of {space.name} meets {count.budget.missed_by(found.costs)}; "
                "raise the budget, or allow smaller networks in space.restrict"
            )
