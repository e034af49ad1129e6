"""Which networks a step of the training of shared weights takes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from search_spaces.space import Architecture, RandomTrial, Restrictions, SearchSpace

TRIES = 16  # draws until a network falls into the bin
SEEN = 64  # networks that tell where the bins are


class Draws:
    """`count` networks of a restricted space, balanced over bins of the logarithm of their cost.

    The space draws most networks near its mean cost; here every bin between the least and the most
    is as likely (AttentiveNAS, Wang 2021, Sec. 3.2, where a model predicts the cost). With `bins` 1
    they are what the space draws. `macs(architecture)`: the cost, asked often. `fits`: whether a
    network may be drawn; after `TRIES` that may not, one is drawn that may not.
    """

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions,
        macs: Callable[[Architecture], float],
        count: int = 2,
        bins: int = 8,
        fits: Callable[[Architecture], bool] | None = None,
    ) -> None:
        self._space, self._restrict, self._macs = space, restrict, macs
        self.count, self.bins = count, bins
        self._fits = fits or (lambda _: True)
        self._low, self._high = 0.0, 0.0
        if bins > 1:
            rng = random.Random(0)
            costs = [math.log(macs(self._sample(rng))) for _ in range(SEEN)]
            self._low, self._high = min(costs), max(costs)

    def __call__(self, rng: random.Random) -> list[Architecture]:
        """The next `count` networks; `rng` decides alone."""
        return [self._draw(rng) for _ in range(self.count)]

    def _draw(self, rng: random.Random) -> Architecture:
        if self.bins == 1:
            return self._sample(rng)
        wanted = rng.randrange(self.bins)
        tries = [self._sample(rng)]
        while self._bin(tries[-1]) != wanted and len(tries) < TRIES:
            tries.append(self._sample(rng))
        return min(tries, key=lambda found: abs(self._bin(found) - wanted))

    def _sample(self, rng: random.Random) -> Architecture:
        for _ in range(TRIES):
            found = self._space.sample(RandomTrial(rng.getrandbits(32)), self._restrict)
            if self._fits(found):
                break
        return found

    def _bin(self, architecture: Architecture) -> int:
        """Networks beyond an end count as there."""
        span = max(self._high - self._low, 1e-12)
        share = (math.log(self._macs(architecture)) - self._low) / span
        return min(max(int(share * self.bins), 0), self.bins - 1)
