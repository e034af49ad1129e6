"""How long a search will take, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from nas.analysis.preview.parallel_costs import Costs
from nas.analysis.preview.regression import Model, best_fit, fit
from nas.analysis.preview.schedule import Schedule, play
from nas.analysis.preview.timing import Timing

Measured = Sequence[tuple[Costs, Timing]]

DRAWS = 300  # searches that are played through
COVERS = 0.8  # of these, the share within the interval


@dataclass(frozen=True)
class Predictor:
    """The seconds of a network of known costs. `setup`, `checkpoint`: medians, whatever it costs;
    `step`, `window`: a training step and a window of the validation."""

    setup: float
    checkpoint: float
    step: Model
    window: Model

    @classmethod
    def learn(cls, measured: Measured) -> Self:
        """From measured candidates, by the costs that predict them best."""
        costs = [one for one, _ in measured]
        return cls(
            float(np.median([timing.setup for _, timing in measured])),
            float(np.median([timing.checkpoint for _, timing in measured])),
            best_fit(costs, [timing.step for _, timing in measured]),
            best_fit(costs, [timing.window for _, timing in measured]),
        )

    def again(self, measured: Measured) -> Predictor:
        """The same from other candidates, by the same costs."""
        costs = [one for one, _ in measured]
        step = fit(costs, [timing.step for _, timing in measured], list(self.step.rates))
        window = fit(costs, [timing.window for _, timing in measured], list(self.window.rates))
        return Predictor(self.setup, self.checkpoint, step, window)

    def timing(self, costs: Costs) -> Timing:
        """What a network of these costs is expected to take."""
        return Timing(
            self.setup, self.step.seconds(costs), self.checkpoint, self.window.seconds(costs)
        )


@dataclass(frozen=True)
class Forecast:
    """The hours of a search: the median of many played through, and `low` to `high`, where
    `COVERS` of them lie.

    `trials`: how many are started in the median; `trial_seconds`: of one, in the mean of the
    architectures within the budget.
    """

    hours: float
    low: float
    high: float
    trials: int
    trial_seconds: float
    schedule: Schedule
    predictor: Predictor

    @property
    def cut_short(self) -> bool:
        """Whether the limit on the hours leaves trials out."""
        return self.trials < self.schedule.trials

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values."""
        return {
            "hours": self.hours,
            "low": self.low,
            "high": self.high,
            "covers": COVERS,
            "trials": self.trials,
            "trial_seconds": self.trial_seconds,
            "schedule": asdict(self.schedule),
            "setup_seconds": self.predictor.setup,
            "checkpoint_seconds": self.predictor.checkpoint,
            "step_seconds": self.predictor.step.to_json(),
            "window_seconds": self.predictor.window.to_json(),
        }


def forecast(
    measured: Measured, first: Sequence[Costs], pool: Sequence[Costs], schedule: Schedule, seed: int
) -> Forecast:
    """Play searches through: the `first` architectures, and then random ones of the `pool`.

    Each time the predictor learns from other candidates (a bootstrap of the `measured`), and every
    trial misses its prediction by the factor by which one of these did, and ends as the schedule's
    `ends` have it.
    """
    rng = np.random.default_rng(seed)
    predictor = Predictor.learn(measured)
    misses = [
        schedule.trial_seconds(timing) / schedule.trial_seconds(predictor.timing(costs))
        for costs, timing in measured
    ]
    shares, probabilities = zip(*schedule.ends, strict=True)
    outcomes = []
    for _ in range(DRAWS):
        others = rng.integers(len(measured), size=len(measured))
        again = predictor.again([measured[i] for i in others])
        drawn = _draw(first, pool, schedule.trials, rng)
        seconds = [schedule.trial_seconds(again.timing(costs)) for costs in drawn]
        factors = rng.choice(misses, len(drawn)) / np.mean(misses)
        factors *= rng.choice(shares, len(drawn), p=probabilities)
        outcomes.append(play(np.multiply(seconds, factors).tolist(), schedule))
    walls, starts = zip(*outcomes, strict=True)
    edges = ((1 - COVERS) / 2, 0.5, (1 + COVERS) / 2)
    low, middle, high = (float(q) / 3600 for q in np.quantile(walls, edges))
    whole = [schedule.trial_seconds(predictor.timing(costs)) for costs in pool]
    each = np.mean(whole) * schedule.mean_end
    trials = int(np.median(starts))
    return Forecast(middle, low, high, trials, float(each), schedule, predictor)


def _draw(
    first: Sequence[Costs], pool: Sequence[Costs], trials: int, rng: np.random.Generator
) -> list[Costs]:
    others = max(trials - len(first), 0)
    places = rng.choice(len(pool), others, replace=others > len(pool))
    return [*first[:trials], *(pool[place] for place in places)]
