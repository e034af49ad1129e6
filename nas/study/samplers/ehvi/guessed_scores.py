"""Scores by shared weights, as models of Dice see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge

from nas.study.samplers.counted_network import CountedNetwork, log_costs
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.samplers.ehvi.guessed_costs import COUNTED
from nas.study.scores import Scores
from search_spaces.elastic import APART

WEIGHT = 2.0  # how much more a group is expected to tell than a knob


class ScoreColumn:
    """Scores for the model of Dice; what was not scored has what its costs and knobs promise.

    Networks of different groups share no weights, so that their scores compare only up to a
    constant: it is learnt from trainings.
    """

    def __init__(self, scores: Scores, features: KnobFeatures) -> None:
        self._scores, self._features = scores, features
        known = [CountedNetwork(score.params, score.key, score.costs) for score in scores]
        dice = np.array([score.dice for score in scores])
        self._mean, self._std = dice.mean(), dice.std() + 1e-9
        self._groups = sorted({_group(network) for network in known})
        x = self._inputs(known)
        self._centre, self._scale = x.mean(axis=0), x.std(axis=0) + 1e-9
        self._model = Ridge().fit((x - self._centre) / self._scale, dice)

    def groups(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        """(n, groups) features: which group each of n networks is of."""
        return WEIGHT * np.array([[_group(n) == group for group in self._groups] for n in networks])

    def of(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        """(n,) scores, standardised."""
        found = np.array([s.dice if (s := self._scores.get(n.key)) else np.nan for n in networks])
        if (rows := np.flatnonzero(np.isnan(found))).size:
            x = self._inputs([networks[row] for row in rows.tolist()])
            found[rows] = self._model.predict((x - self._centre) / self._scale)
        return np.asarray((found - self._mean) / self._std)

    def _inputs(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        logs = log_costs(networks, COUNTED)
        knobs = self._features.matrix([network.params for network in networks])
        return np.hstack([knobs, logs, logs**2])


def _group(network: CountedNetwork) -> tuple[str, ...]:
    return tuple(str(network.params[knob]) for knob in APART)
