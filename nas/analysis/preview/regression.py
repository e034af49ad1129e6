"""Seconds as a function of costs, learned from a few measured candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

FEATURES: tuple[tuple[str, ...], ...] = (
    (),
    ("macs",),
    ("memory",),
    ("macs", "params"),
    ("memory", "params"),
    ("memory", "macs"),
)
ENOUGH = 5  # candidates, from which on it can be told which costs predict


@dataclass(frozen=True)
class Model:
    """Seconds: `constant + sum(rate * cost)`, no term below zero.

    `error`: the root mean square of its errors on candidates that it was not fitted to, as a share
    of the mean seconds; None where there were too few to tell.
    """

    constant: float
    rates: Mapping[str, float]
    error: float | None = None

    def seconds(self, costs: Mapping[str, float]) -> float:
        """What a network of these costs is expected to take."""
        return self.constant + sum(rate * costs[name] for name, rate in self.rates.items())

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values."""
        return {"constant": self.constant, "rates": dict(self.rates), "error": self.error}


def fit(
    costs: Sequence[Mapping[str, float]], seconds: Sequence[float], features: Sequence[str]
) -> Model:
    """Non-negative least squares (Lawson and Hanson 1974) on the named costs."""
    y = np.asarray(seconds, dtype=float)
    columns = np.array([[1.0, *(one[name] for name in features)] for one in costs])
    scale = columns.max(axis=0)  # costs are a billion times the constant
    solution, _ = nnls(columns / scale, y)
    constant, *rates = (solution / scale).tolist()
    return Model(constant, dict(zip(features, rates, strict=True)))


def best_fit(costs: Sequence[Mapping[str, float]], seconds: Sequence[float]) -> Model:
    """The model, of those over `FEATURES`, that predicts held-out candidates best.

    Each candidate is held out in turn. With fewer than `ENOUGH`, seconds are proportional to the
    multiply-accumulates.
    """
    if len(seconds) < ENOUGH:
        rate = sum(seconds) / sum(one["macs"] for one in costs)
        return Model(0.0, {"macs": rate})
    errors = {features: _held_out_error(costs, seconds, features) for features in FEATURES}
    features = min(errors, key=lambda names: errors[names])
    fitted = fit(costs, seconds, features)
    return Model(fitted.constant, fitted.rates, errors[features])


def _held_out_error(
    costs: Sequence[Mapping[str, float]], seconds: Sequence[float], features: Sequence[str]
) -> float:
    misses = []
    for i in range(len(seconds)):
        others = [k for k in range(len(seconds)) if k != i]
        model = fit([costs[k] for k in others], [seconds[k] for k in others], features)
        misses.append(model.seconds(costs[i]) - seconds[i])
    return float(np.sqrt(np.mean(np.square(misses))) / np.mean(seconds))
