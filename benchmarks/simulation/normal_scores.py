"""Dice on a scale on which models fit it: the normal scores of its ranks."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata


class NormalScores:
    """A Gaussian copula of the Dice that was observed (Salinas et al. 2020, A Quantile-based
    Approach for Hyperparameter Transfer Learning).

    Dice has a long lower tail: networks that did not begin to learn. By its value they are most of
    what a model sees; by ranks they are the last of the row, and the good ones are told apart.
    """

    def __init__(self, dice: np.ndarray) -> None:
        """dice: (n,)."""
        n = len(dice)
        self.of_observed = ndtri((rankdata(dice) - 0.5) / n)
        """(n,) of the Dice that were given, in their order."""
        self._dice, self._scores = np.sort(dice), ndtri((np.arange(n) + 0.5) / n)
        half = n // 2
        rise, run = self._dice[-1] - self._dice[half], self._scores[-1] - self._scores[half]
        self._slope = rise / run if run > 0 else 0.0

    def dice(self, scores: np.ndarray) -> np.ndarray:
        """The Dice of these scores, of any shape.

        Beyond the best it rises on as it does over the better half; below the worst it is that.
        """
        beyond = np.maximum(scores - self._scores[-1], 0.0)
        return np.interp(scores, self._scores, self._dice) + self._slope * beyond
