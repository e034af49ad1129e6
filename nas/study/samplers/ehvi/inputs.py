"""What models of Dice and of latency see of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.study.samplers.counted_network import CountedNetwork, log_costs
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.samplers.ehvi.guessed_costs import COUNTED
from nas.study.samplers.ehvi.guessed_scores import ScoreColumn

KNOBS = 0.4  # how much less an option is expected to matter than a standard deviation of costs
DEPARTURES = 3.0  # that together matter about as much: a draw of the prior has some


class Inputs:
    """Knobs and costs, scaled by what was `trained`; with scores, who shares weights with whom."""

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
        parts = KNOBS * knobs, departures[:, None] / DEPARTURES, costs, costs**2
        return np.hstack([*parts, *groups])

    def promise(self, networks: Sequence[CountedNetwork]) -> np.ndarray | None:
        """(n,) the scores, of a deviation of about 1; None where there are none."""
        return None if self._scores is None else self._scores.of(networks)

    def _costs(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        return np.asarray((log_costs(networks, COUNTED) - self._centre) / self._scale)
