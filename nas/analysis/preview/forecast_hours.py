"""From the seconds of a few candidates to the hours of a search."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from nas.analysis.preview.survey import Costs
from nas.analysis.preview.time_candidates import Timing
from nas.config.early_stopping import EarlyStopping
from nas.cost.latency.config import LatencyConfig
from nas.study.baselines import due_after
from nas.study.training_pace import Line, fit_line
from trainers.config import TrainConfig

START_SECONDS = 15.0  # until the first step of a worker: its process, and what it imports
TRIAL_SECONDS = 0.5  # of a trial, beside its epochs: it is proposed, counted and built
EPOCH_SECONDS = 0.15  # of an epoch, beside its steps: its checkpoint is written, its report travels
SEARCHES = 300  # that are simulated
FEWEST, LONG = 30, 1000  # where each has more trials than that, fewer tell as much
AMPLE = 2.0  # times the trials that the hours hold in the mean: more are seldom begun
COVERS = 0.8  # of these, the share within the interval


@dataclass(frozen=True)
class Schedule:
    """What a trial does, and how many there are. `windows`: those of one validation.

    `pause`: seconds a trial for which no slot trains, since a latency is measured. `hours`: no
    trial starts later. `ends`: shares of a whole training after which trials end, each with its
    probability.
    """

    trials: int
    slots: int
    epochs: int
    steps: int
    validations: int
    windows: int
    pause: float = 0.0
    hours: float | None = None
    ends: tuple[tuple[float, float], ...] = ((1.0, 1.0),)

    @property
    def mean_end(self) -> float:
        """The share of a whole training that a trial gets in the mean."""
        return sum(share * probability for share, probability in self.ends)

    def trial_seconds(self, timing: Timing) -> float:
        """A whole trial, where nothing ends it early."""
        epochs = self.epochs * (self.steps * timing.step + EPOCH_SECONDS)
        return TRIAL_SECONDS + epochs + self.validations * self.windows * timing.window


@dataclass(frozen=True)
class Forecast:
    """The hours of a search: the median of those simulated, `COVERS` of which are within `low` to
    `high`.

    `trials`: how many are started in the median; `trial_seconds`: of one, in the mean.
    """

    hours: float
    low: float
    high: float
    trials: int
    trial_seconds: float
    schedule: Schedule
    line: Line

    @property
    def cut_short(self) -> bool:
        """Whether the limit on the hours leaves trials out."""
        return self.trials < self.schedule.trials

    def spending_hours(self) -> Forecast:
        """The same where hours are the budget: as many trials are wanted as there is time for."""
        return replace(self, schedule=replace(self.schedule, trials=self.trials))

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "covers": COVERS}


def forecast_hours(
    timed: Sequence[tuple[Costs, Timing]],
    first: Sequence[Costs],
    pool: Sequence[Costs],
    schedule: Schedule,
    seed: int,
    baselines: Sequence[Costs] = (),
) -> Forecast:
    """Simulate searches that train the networks `first`, and then random ones of the `pool`.

    The `baselines` are trained between them, to the end. Trials miss the line by as much as the
    `timed` candidates did, and it is itself uncertain by the standard error of these. They end as
    the schedule's `ends` have it.
    """
    line = fit_line(
        [costs for costs, _ in timed], [schedule.trial_seconds(timing) for _, timing in timed]
    )
    random = np.random.default_rng(seed)
    shares, probabilities = zip(*schedule.ends, strict=True)
    of_pool = np.array([line.seconds(one) for one in pool])
    mean = float(of_pool.mean()) * schedule.mean_end
    trials = schedule.trials
    if schedule.hours is not None and mean > 0:
        held = AMPLE * 3600 * schedule.hours * schedule.slots / mean
        trials = min(trials, len(first) + math.ceil(held))
    of_first = [line.seconds(one) for one in first[:trials]]
    extra = [line.seconds(one) for one in baselines]
    others = max(trials - len(first), 0)
    outcomes = []
    for _ in range(max(FEWEST, min(SEARCHES, SEARCHES * LONG // max(trials, 1)))):
        places = random.choice(len(pool), others, replace=others > len(pool))
        whole = np.concatenate([of_first, of_pool[places]])
        misses = random.normal(0, line.error, len(whole))
        misses += random.normal(0, line.error / len(timed) ** 0.5)
        ends = random.choice(shares, len(whole), p=probabilities)
        seconds = whole * (1 + misses).clip(0.1) * ends
        mixed, beside = _mixed(seconds.tolist(), extra, len(first))
        wall, started = simulate_schedule(mixed, schedule)
        outcomes.append((wall, started - sum(place < started for place in beside)))
    walls, starts = zip(*outcomes, strict=True)
    quantiles = np.quantile(walls, ((1 - COVERS) / 2, 0.5, (1 + COVERS) / 2)) / 3600
    low, hours, high = quantiles.tolist()
    return Forecast(hours, low, high, int(np.median(starts)), mean, schedule, line)


def _mixed(
    trials: list[float], baselines: Sequence[float], starts: int
) -> tuple[list[float], list[int]]:
    """The trials with the baselines where they are due, and the places of these."""
    mixed, places = list(trials), []
    for number, seconds in enumerate(baselines):
        place = due_after(number, starts) + number
        if place < len(mixed):  # a search that is over begins none
            mixed.insert(place, seconds)
            places.append(place)
    return mixed, places


def simulate_schedule(trials: Iterable[float], schedule: Schedule) -> tuple[float, int]:
    """The seconds of a search of such trials (seconds each, in order), and how many it starts.

    A trial begins in the first slot that is free, unless `schedule.hours` are over.
    """
    free = [START_SECONDS] * schedule.slots
    started = 0
    for seconds in trials:
        begin = free[0]
        if schedule.hours is not None and begin >= 3600 * schedule.hours:
            break
        heapq.heapreplace(free, begin + seconds + schedule.slots * schedule.pause)
        started += 1
    return max(free) if started else 0.0, started


def pause_seconds(latency: LatencyConfig, pass_seconds: float) -> float:
    """For how long nobody trains while a network is measured, in two runs."""
    return 2 * min((latency.warmup + latency.repeats) * pass_seconds, latency.seconds)


def count_validations(train: TrainConfig) -> int:
    """Every `validate_every` epochs, and after the last one."""
    return -(-train.epochs // train.validate_every)


def early_ends(early: EarlyStopping | None, train: TrainConfig) -> tuple[tuple[float, float], ...]:
    """The `ends` of a schedule where one in `early.reduction` goes on at every rung."""
    if early is None:
        return ((1.0, 1.0),)
    found: dict[float, float] = {1.0: 0.0}
    brackets = early.rungs(train)
    for rungs in brackets:
        left = 1 / len(brackets)
        for epoch in rungs:
            stopped = left * (1 - 1 / early.reduction)
            found[epoch / train.epochs] = found.get(epoch / train.epochs, 0.0) + stopped
            left -= stopped
        found[1.0] += left
    return tuple(sorted(found.items()))
