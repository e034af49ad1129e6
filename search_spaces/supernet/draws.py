"""Which networks a step of the training of shared weights takes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from search_spaces.elastic import extreme
from search_spaces.space import Architecture, RandomTrial, Restrictions, SearchSpace

TRIES = 64  # draws until a network falls into the bin


class Draws:
    """`count` networks of a restricted space, balanced over bins of the logarithm of their cost.

    The space draws most networks near its mean cost; here every bin between the smallest and the
    largest is as likely (AttentiveNAS, Wang 2021, Sec. 3.2, where a model predicts the cost). With
    `bins` 1 they are what the space draws. `macs(architecture)`: the cost.
    """

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions,
        macs: Callable[[Architecture], float],
        count: int = 2,
        bins: int = 8,
    ) -> None:
        self._space, self._restrict, self._macs = space, restrict, macs
        self.count, self.bins = count, bins
        ends = [math.log(macs(extreme(space, restrict, large))) for large in (False, True)]
        self._low, self._high = min(ends), max(ends)

    def __call__(self, rng: random.Random) -> list[Architecture]:
        """The next `count` networks; `rng` decides alone."""
        return [self._draw(rng) for _ in range(self.count)]

    def _draw(self, rng: random.Random) -> Architecture:
        wanted = rng.randrange(self.bins)
        found = self._sample(rng)
        if self.bins == 1:
            return found
        nearest, off = found, abs(self._bin(found) - wanted)
        for _ in range(TRIES):
            if off == 0:
                break
            found = self._sample(rng)
            if (distance := abs(self._bin(found) - wanted)) < off:
                nearest, off = found, distance
        return nearest

    def _sample(self, rng: random.Random) -> Architecture:
        return self._space.sample(RandomTrial(rng.getrandbits(32)), self._restrict)

    def _bin(self, architecture: Architecture) -> int:
        """Networks beyond an end, of other kinds than the ends, count as there."""
        span = max(self._high - self._low, 1e-12)
        share = (math.log(self._macs(architecture)) - self._low) / span
        return min(max(int(share * self.bins), 0), self.bins - 1)
