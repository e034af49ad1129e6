"""What is kept current while a search runs: its records in MLflow, and the front's files."""

from __future__ import annotations

import math
from collections.abc import Callable

from nas.engine.report import Report
from nas.pareto.result import Result
from nas.search.callback import SearchCallback, SessionView
from nas.study.candidate import Candidate
from nas.tracking import Tracker


class FrontWriter(SearchCallback):
    """Calls `write` whenever the front changes."""

    def __init__(self, write: Callable[[], object]) -> None:
        self._write = write

    def on_front_change(self, session: SessionView) -> None:
        """Write the front's files anew."""
        self._write()


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
            {**metrics, **report.measured},
            candidate.baseline,
        )

    def on_result(self, session: SessionView, result: Result) -> None:
        """A trial's end, and the ranks of all."""
        self._tracker.trial_end(result, session.study.results)

    def on_tick(self, session: SessionView) -> None:
        """The front's page, now and then."""
        self._tracker.tick()
