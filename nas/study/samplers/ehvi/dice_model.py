"""The model of Dice: ridge regression that knows, before it has seen much, what is usually so."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import BayesianRidge

SLOPE = 0.8  # standard deviations of Dice that are expected of one standard deviation of `promise`
NOISE = 0.3  # of the variance of Dice: what is expected of seeds, and of all that is not modelled
WEIGHT = 0.02  # of the variance of Dice: what is expected of a feature by itself
LEEWAY = 2.0  # how much more the slope may be another than a feature may do something
TRAININGS = 6.0  # that NOISE and WEIGHT are worth; with more, what is seen decides


class DiceModel:
    """Bayesian ridge regression of Dice on features, about a line.

    Four or five trainings say next to nothing of a dozen features, and a model that believes them
    ranks worse than the costs alone (docs/results.md). So Dice is expected to rise with `promise`,
    features are expected to do little, and each expectation is worth some trainings.

    x: (n, d) features, promise: (n,) of deviation about 1, dice: (n,).
    """

    def __init__(self, x: np.ndarray, promise: np.ndarray, dice: np.ndarray) -> None:
        self._unit = dice.std() + 1e-9
        half = TRAININGS / 2
        self._model = BayesianRidge(
            alpha_init=1 / NOISE,
            alpha_1=half,
            alpha_2=half * NOISE,
            lambda_init=1 / WEIGHT,
            lambda_1=half,
            lambda_2=half * WEIGHT,
        ).fit(_all(x, promise), dice / self._unit - SLOPE * promise)

    def predict(self, x: np.ndarray, promise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) the Dice that is expected, and its deviation without the noise of one training,
        which no network is better by."""
        mean, std = self._model.predict(_all(x, promise), return_std=True)
        variance = np.maximum(std**2 - 1 / self._model.alpha_, 0.0)
        return self._unit * (mean + SLOPE * promise), self._unit * np.sqrt(variance)


def _all(x: np.ndarray, promise: np.ndarray) -> np.ndarray:
    return np.hstack([x, LEEWAY * promise[:, None]])
