"""Scores by shared weights as a column of a model's inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge

from nas.study.samplers.counted_network import CountedNetwork, log_costs
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.samplers.ehvi.guessed_costs import COUNTED
from nas.study.scores import Scores

WEIGHT = 2.0  # how much more a standard deviation of scores is expected to tell than one of costs


class ScoreColumn:
    """Standardised scores; what was not scored has what its costs and knobs make of the others."""

    def __init__(self, scores: Scores, features: KnobFeatures) -> None:
        self._scores, self._features = scores, features
        known = [CountedNetwork(score.params, score.key, score.costs) for score in scores]
        dice = np.array([score.dice for score in scores])
        self._mean, self._std = dice.mean(), dice.std() + 1e-9
        x = self._inputs(known)
        self._centre, self._scale = x.mean(axis=0), x.std(axis=0) + 1e-9
        self._model = Ridge().fit((x - self._centre) / self._scale, dice)

    def of(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        """(n, 1) of n networks."""
        found = np.array([s.dice if (s := self._scores.get(n.key)) else np.nan for n in networks])
        if (rows := np.flatnonzero(np.isnan(found))).size:
            x = self._inputs([networks[row] for row in rows.tolist()])
            found[rows] = self._model.predict((x - self._centre) / self._scale)
        return np.asarray(WEIGHT * (found[:, None] - self._mean) / self._std)

    def _inputs(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        logs = log_costs(networks, COUNTED)
        knobs = self._features.matrix([network.params for network in networks])
        return np.hstack([knobs, logs, logs**2])
