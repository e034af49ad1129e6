"""The architectures that a preview looks at: drawn as the search draws its random proposals."""

from __future__ import annotations

import random
from dataclasses import dataclass

from search_spaces.space import Architecture, RandomTrial, Restrictions, SearchSpace

PATIENCE = 500  # draws in a row without a new architecture, after which the space counts as seen


@dataclass(frozen=True)
class Draw:
    """`points`: distinct architectures, in the order of their draws.

    `draws`: how many it took. `exhausted`: the space seems to hold no more.
    """

    points: tuple[Architecture, ...]
    draws: int
    exhausted: bool


def draw_points(space: SearchSpace, restrict: Restrictions, count: int, seed: int) -> Draw:
    """At most `count` architectures of the restricted space; fewer where it seems to hold no more.

    The same seed draws the same ones, and a smaller `count` the first of them.
    """
    seeds = random.Random(seed)
    points: dict[str, Architecture] = {}
    draws = idle = 0
    while len(points) < count and idle < PATIENCE:
        point = space.sample(RandomTrial(seeds.getrandbits(64)), restrict)
        draws += 1
        idle = idle + 1 if point.key in points else 0
        points[point.key] = point
    return Draw(tuple(points.values()), draws, exhausted=len(points) < count)
