"""What models of Dice and of latency see of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.study.samplers.counted_network import CountedNetwork, log_costs
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.samplers.ehvi.guessed_costs import COUNTED
from nas.study.samplers.ehvi.guessed_scores import ScoreColumn

DEPARTURES = 3.0  # that together matter about as much as an option: a draw of the prior has some


class Inputs:
    """Knobs and costs, scaled by what was `trained`; and with scores, who shares weights with whom.

    `promise`: what is expected to be good before anything was trained: scores by shared weights,
    and costs where there are none.
    """

    def __init__(
        self,
        features: KnobFeatures,
        trained: Sequence[CountedNetwork],
        scores: ScoreColumn | None = None,
    ) -> None:
        self._features, self._scores = features, scores
        logs = log_costs(trained, COUNTED)
        self._centre, self._scale = logs.mean(axis=0), logs.std(axis=0) + 1e-9

    def of(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        """(n, d) features of n networks."""
        costs = self._costs(networks)
        knobs, departures = self._features.of(networks)
        groups = [] if self._scores is None else [self._scores.groups(networks)]
        return np.hstack([knobs, departures[:, None] / DEPARTURES, costs, costs**2, *groups])

    def promise(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        """(n,) of a deviation of about 1."""
        if self._scores is not None:
            return self._scores.of(networks)
        return np.asarray(self._costs(networks).mean(axis=1))

    def _costs(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        return np.asarray((log_costs(networks, COUNTED) - self._centre) / self._scale)
