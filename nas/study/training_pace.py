"""How long networks train, by what they cost: a line through those that were timed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

PREDICTORS = ("macs", "memory")
RECENT = 100  # networks that a pace is told by: machines become busy, and idle again


@dataclass(frozen=True)
class Line:
    """Seconds of a whole trial: `constant + rate * cost`, neither below zero.

    `error`: the standard deviation of the candidates from it, as a share of their mean seconds.
    """

    constant: float
    rate: float
    cost: str
    error: float

    def seconds(self, costs: Mapping[str, float]) -> float:
        """What a trial of a network of these costs takes."""
        return self.constant + self.rate * costs[self.cost]


def fit_line(costs: Sequence[Mapping[str, float]], seconds: Sequence[float]) -> Line:
    """Non-negative least squares on MACs or on memory, whichever comes nearer.

    Where all cost the same, and with fewer than three candidates, in proportion to memory where it
    is known: the first is the smallest, and by its MACs others seem to take several times as long
    as they do. Fewer than three are as uncertain as the whole.
    """
    y = np.asarray(seconds, dtype=float)
    lines = []
    for name in PREDICTORS if len(y) >= 3 else ():
        if any(name not in one for one in costs):
            continue
        x = np.array([one[name] for one in costs])
        if x.min() == x.max():
            continue
        scale = x.max()  # a billion times the constant
        (constant, rate), rest = nnls(np.column_stack([np.ones_like(x), x / scale]), y)
        error = rest / (len(y) - 2) ** 0.5 / y.mean()
        lines.append(Line(float(constant), float(rate / scale), name, float(error)))
    if not lines:
        error = float(y.std(ddof=1) / y.mean()) if len(y) >= 3 else 1.0
        cost = "memory" if all("memory" in one for one in costs) else "macs"
        return Line(0.0, float(y.sum() / sum(one[cost] for one in costs)), cost, error)
    return min(lines, key=lambda line: line.error)


class TrainingPace:
    """What a whole training of `epochs` takes, corrected by every network that trains.

    `most`: the seconds that a training which begins now may take; whoever runs the search sets it.
    """

    def __init__(self, epochs: int) -> None:
        self.most = math.inf
        self._epochs = epochs
        self._timed: dict[str, tuple[Mapping[str, float], float]] = {}
        self._line: Line | None = None

    @property
    def quickest(self) -> float:
        """The seconds of the quickest whole training; 0 before one was timed."""
        return min((seconds for _, seconds in self._timed.values()), default=0.0)

    def observe(self, key: str, costs: Mapping[str, float], epochs: int, seconds: float) -> None:
        """The network of this key has trained so many epochs in so many seconds."""
        if epochs and seconds and PREDICTORS[0] in costs:
            self._timed.pop(key, None)
            self._timed[key] = costs, seconds / epochs * self._epochs
            if len(self._timed) > RECENT:
                del self._timed[next(iter(self._timed))]
            self._line = None

    def seconds(self, costs: Mapping[str, float]) -> float | None:
        """What a network of these costs takes, None where nobody knows."""
        if not self._timed:
            return None
        if self._line is None:
            self._line = fit_line(*zip(*self._timed.values(), strict=True))
        return self._line.seconds(costs) if self._line.cost in costs else None

    def fits(self, costs: Mapping[str, float], epochs: int | None = None) -> bool:
        """Whether a network of these costs may begin, to train for `epochs` where its training is
        another one; where nobody knows, it may."""
        share = 1.0 if epochs is None else epochs / self._epochs
        return share * (self.seconds(costs) or 0.0) <= self.most
