"""The architectures that a preview looks at: drawn as the search draws its random proposals."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.fitting import misfit
from search_spaces.space import Architecture, RandomTrial, Restrictions, SearchSpace
from trainers.errors import UserError

PATIENCE = 500  # draws in a row without a new architecture, after which the space counts as seen


@dataclass(frozen=True)
class Draw:
    """`points`: distinct architectures that take the patch, in the order of their draws.

    `draws`: how many it took; `unfit`: how many of them have a stride that the patch does not suit.
    `exhausted`: the space seems to hold no more.
    """

    points: tuple[Architecture, ...]
    draws: int
    unfit: int
    exhausted: bool


def draw_points(
    space: SearchSpace, restrict: Restrictions, patch: Sequence[int], count: int, seed: int
) -> Draw:
    """At most `count` architectures of the restricted space; fewer where it seems to hold no more.

    The same seed draws the same ones, and a smaller `count` the first of them. Raises UserError
    where none takes the patch.
    """
    seeds = random.Random(seed)
    points: dict[str, Architecture] = {}
    draws = unfit = idle = 0
    reason = ""
    while len(points) < count and idle < PATIENCE:
        point = space.sample(RandomTrial(seeds.getrandbits(64)), restrict)
        draws += 1
        why = misfit(point, patch)
        if why:
            unfit, reason = unfit + 1, why
        idle = idle + 1 if why or point.key in points else 0
        if not why:
            points[point.key] = point
    if not points:
        raise UserError(
            f"no architecture of {space.name} takes train.patch = {list(patch)}: {reason}; change "
            "the patch, or allow smaller strides in space.restrict"
        )
    return Draw(tuple(points.values()), draws, unfit, exhausted=len(points) < count)
