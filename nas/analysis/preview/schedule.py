"""From the seconds of a step to the hours of a search."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from nas.analysis.preview.timing import Timing
from nas.config.early_stopping import EarlyStopping
from trainers.config import TrainConfig

START_SECONDS = 15.0  # until the first step of a worker: its process, and what it imports
REPORT_SECONDS = 0.1  # an epoch: its report travels, and the next epoch is asked for


@dataclass(frozen=True)
class Schedule:
    """What a trial does and how many there are. `windows`: those of one validation.

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
        """From the build of a candidate to its last report, where nothing ends it early."""
        epoch = self.steps * timing.step + timing.checkpoint + REPORT_SECONDS
        validation = self.windows * timing.window
        return timing.setup + self.epochs * epoch + self.validations * validation


def count_validations(train: TrainConfig) -> int:
    """Every `validate_every` epochs, and after the last one."""
    return -(-train.epochs // train.validate_every)


def ends(early: EarlyStopping | None, train: TrainConfig) -> tuple[tuple[float, float], ...]:
    """The `ends` of a schedule where one in `early.reduction` goes on at every rung."""
    if early is None:
        return ((1.0, 1.0),)
    found: dict[float, float] = {}
    brackets = early.rungs(train)
    for rungs in brackets:
        left = 1 / len(brackets)
        for epoch in rungs:
            stopped = left * (1 - 1 / early.reduction)
            found[epoch / train.epochs] = found.get(epoch / train.epochs, 0.0) + stopped
            left -= stopped
        found[1.0] = found.get(1.0, 0.0) + left
    return tuple(sorted(found.items()))


def play(trials: Iterable[float], schedule: Schedule) -> tuple[float, int]:
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
