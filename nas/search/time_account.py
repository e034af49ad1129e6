"""Where the seconds of a session go."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class TimeAccount:
    """Seconds of slots, of trials in them, and of training and validation inside these.

    `clock` tells seconds from any start. Time begins with the first trial, and stands still once
    nobody runs.
    """

    def __init__(self, slots: int, clock: Callable[[], float] = monotonic) -> None:
        self.slots = slots
        self.worker_seconds = self.train_seconds = 0.0
        self._clock = clock
        self._begun: float | None = None
        self._ended: float | None = None
        self._running = 0
        self._other_slot_seconds = 0.0  # of slots that are no more, less those that came later

    @property
    def begun(self) -> bool:
        """Whether a trial ever started."""
        return self._begun is not None

    @property
    def elapsed(self) -> float:
        """Seconds since the first trial started, up to the end of the last one once none runs."""
        if self._begun is None:
            return 0.0
        end = self._ended if not self._running else None
        return (end or self._clock()) - self._begun

    @property
    def slot_seconds(self) -> float:
        """The slots that there were, times the seconds that they were there."""
        return self.slots * self.elapsed + self._other_slot_seconds

    def start(self) -> float:
        """A trial starts in a slot; returns when."""
        now = self._clock()
        self._begun = now if self._begun is None else self._begun
        self._running += 1
        return now

    def lose(self) -> None:
        """A trial's worker died; it may start again."""
        self._running -= 1

    def restart(self) -> None:
        """It does so; its time has gone on."""
        self._running += 1

    def end(self, started: float, train_seconds: float) -> float:
        """A trial that `started` then leaves its slot; returns its seconds."""
        self._ended = self._clock()
        self._running -= 1
        seconds = self._ended - started
        self.worker_seconds += seconds
        self.train_seconds += train_seconds
        return seconds

    def resize(self, slots: int) -> None:
        """From now on there are so many slots."""
        self._other_slot_seconds += (self.slots - slots) * self.elapsed
        self.slots = slots
