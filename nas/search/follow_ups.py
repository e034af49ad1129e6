"""What is kept current while a search runs: its records in MLflow, and the front's files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from nas.engine.report import Report
from nas.pareto.result import Result, known
from nas.report.progress import Progress, UnderWay
from nas.search.callback import SearchCallback, SessionView
from nas.study.candidate import Candidate
from nas.tracking import Tracker

PAGE_SECONDS = 10.0  # at least, between two writings of the front's files that nothing asked for
PAUSE = 20.0  # the same, as a multiple of what the last one took


class FrontWriter(SearchCallback):
    """Has `write` write the front's files: at once when the front changes, and now and then when
    anything else did, for who watches the page.

    `write` gets how far the search is, and takes at most 5% of the time: where it takes long, a
    front that changed waits, too.
    """

    def __init__(self, write: Callable[[Progress], object]) -> None:
        self._write = write
        self._stale, self._next, self._took = False, 0.0, 0.0

    def on_report(self, session: SessionView, candidate: Candidate, report: Report) -> None:
        """A training is further than it was."""
        self._stale = True

    def on_result(self, session: SessionView, result: Result) -> None:
        """A network that need not be on the front."""
        self._stale = True

    def on_front_change(self, session: SessionView) -> None:
        """Write the front's files anew."""
        self._stale = True
        if PAUSE * self._took <= PAGE_SECONDS or time.monotonic() >= self._next:
            self._write_now(session)

    def on_tick(self, session: SessionView) -> None:
        """The same, where it is time to and there is something new."""
        if self._stale and time.monotonic() >= self._next:
            self._write_now(session)

    def _write_now(self, session: SessionView) -> None:
        started = time.monotonic()
        self._write(self._progress(session))
        now = time.monotonic()
        self._stale, self._took = False, now - started
        self._next = now + max(PAGE_SECONDS, PAUSE * self._took)

    def _progress(self, session: SessionView) -> Progress:
        running = [
            UnderWay(
                name=one.candidate.label,
                epoch=one.report.epoch,
                epochs=max(session.budget.epochs_of(one.candidate), one.report.epoch),
                dice=None if one.report.dice is None else known(one.report.dice),
            )
            for one in session.running.values()
        ]
        return Progress(fraction=session.fraction_spent, written=time.time(), running=running)


class Tracking(SearchCallback):
    """Hands epochs and results on to MLflow."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def on_report(self, session: SessionView, candidate: Candidate, report: Report) -> None:
        """The metrics of an epoch, unless it failed, or is of a repeat: its run has that epoch."""
        if report.loss is None or candidate.seed is not None:
            return
        told = {"loss": report.loss, "dice": report.dice, "seconds": report.seconds}
        metrics = {n: v for n, v in told.items() if v is not None and not math.isnan(v)}
        self._tracker.trial_epoch(
            candidate.key,
            candidate.number,
            candidate.architecture.to_json(),
            report.epoch,
            {**report.measured, **metrics},
            candidate.baseline,
        )

    def on_result(self, session: SessionView, result: Result) -> None:
        """A trial's end, and the ranks of all."""
        self._tracker.trial_end(result, session.study.results)

    def on_tick(self, session: SessionView) -> None:
        """The front's page, now and then."""
        self._tracker.tick()
