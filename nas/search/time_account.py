"""Where the seconds of a session go."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

KEEP = 60.0  # seconds that a process which is killed may leave uncounted


class TimeAccount:
    """Seconds of slots, of trials in them, and of training and validation inside these.

    `clock` tells seconds from any start. Time begins with the first trial, and stands still once
    nobody runs; what the session may spend, `spent`, runs from `open`, or else from that trial, to
    `close`. `before`: what earlier sessions spent. `keep` is called with `spent` now and then, and
    in the end.
    """

    def __init__(
        self,
        slots: int,
        clock: Callable[[], float] = monotonic,
        before: float = 0.0,
        keep: Callable[[float], object] | None = None,
    ) -> None:
        self.slots = slots
        self.worker_seconds = self.train_seconds = 0.0
        self._clock, self._before, self._keep = clock, before, keep
        self._kept: float | None = None
        self._opened: float | None = None
        self._closed: float | None = None
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
    def spent(self) -> float:
        """Seconds of all sessions: of this one since `open`, whoever runs now."""
        if self._opened is None:
            return self._before
        end = self._clock() if self._closed is None else self._closed
        return self._before + end - self._opened

    def open(self) -> None:
        """The session has all that it needs: from now on it spends its time."""
        self._opened = self._clock()

    def tick(self) -> None:
        """Have what is spent kept, where that is due; to be called as often as one likes."""
        if self._opened is not None and self._clock() - (self._kept or self._opened) >= KEEP:
            self._have_kept()

    def close(self) -> None:
        """The session is over: nothing more is spent."""
        if self._opened is not None and self._closed is None:
            self._closed = self._clock()
            self._have_kept()

    def _have_kept(self) -> None:
        self._kept = self._clock()
        if self._keep:
            self._keep(self.spent)

    @property
    def slot_seconds(self) -> float:
        """The slots that there were, times the seconds that they were there."""
        return self.slots * self.elapsed + self._other_slot_seconds

    def start(self) -> float:
        """A trial starts in a slot; returns when."""
        now = self._clock()
        self._begun = now if self._begun is None else self._begun
        self._opened = now if self._opened is None else self._opened
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
