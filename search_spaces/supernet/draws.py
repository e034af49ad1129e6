"""Which networks a step of the training of shared weights takes besides the extremes."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from search_spaces.space import Architecture

BINS = 8


class Draws:
    """`count` networks a step, balanced over bins of the logarithm of their cost.

    `pool`: networks with their costs (above 0), at least one. Most of a space lie near the middle;
    here every bin between the least and the most is as likely (AttentiveNAS, Wang 2021, Sec. 3.2),
    and in a bin every network. With `bins` 1 every network of the pool is.
    """

    def __init__(
        self, pool: Sequence[tuple[float, Architecture]], count: int = 2, bins: int = BINS
    ) -> None:
        self.count = count
        logs = [math.log(cost) for cost, _ in pool]
        width = (max(logs) - min(logs)) / bins or 1.0
        binned: list[list[Architecture]] = [[] for _ in range(bins)]
        for log, (_, point) in zip(logs, pool, strict=True):
            binned[min(bins - 1, int((log - min(logs)) / width))].append(point)
        self.bins = [points for points in binned if points]

    def __call__(self, rng: random.Random) -> list[Architecture]:
        """The networks of the next step; `rng` decides alone."""
        return [rng.choice(rng.choice(self.bins)) for _ in range(self.count)]
