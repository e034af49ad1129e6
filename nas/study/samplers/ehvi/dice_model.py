"""The model of Dice: ridge regression, and with scores by shared weights one about a line."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import BayesianRidge

SLOPE = 0.8  # deviations of Dice that are expected of one deviation of `promise`
NOISE = 0.3  # of the variance of Dice: what is expected of seeds, and of all that is not modelled
WEIGHT = 0.02  # of the variance of Dice: what is expected of a feature by itself
LEEWAY = 2.0  # how much more the slope may be another than a feature may do something
TRAININGS = 6.0  # that NOISE and WEIGHT are worth; with more, what is seen decides


class DiceModel:
    """Bayesian ridge regression of Dice on features.

    x: (n, d) features, dice: (n,), promise: (n,) of deviation about 1, or None. With a promise Dice
    is expected to rise with it and features to do little, for four or five trainings say next to
    nothing of a dozen features. Without one nothing is expected, not even of costs: a search whose
    model did so foretold Dice better, and found less (docs/results.md).
    """

    def __init__(self, x: np.ndarray, dice: np.ndarray, promise: np.ndarray | None = None) -> None:
        self._unit = 1.0
        if promise is None:
            self._model = BayesianRidge().fit(x, dice)
            return
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

    def predict(
        self, x: np.ndarray, promise: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(n,) the Dice that is expected, and its deviation without the noise of one training,
        which no network is better by. With a promise where the model has seen one."""
        mean, std = self._model.predict(_all(x, promise), return_std=True)
        line = 0.0 if promise is None else SLOPE * promise
        variance = np.maximum(std**2 - 1 / self._model.alpha_, 0.0)
        return self._unit * (mean + line), self._unit * np.sqrt(variance)


def _all(x: np.ndarray, promise: np.ndarray | None) -> np.ndarray:
    return x if promise is None else np.hstack([x, LEEWAY * promise[:, None]])
