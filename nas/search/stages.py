"""What a search does before its first candidate trains: imports, data, Ray, MLflow."""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from nas.report.safe_console import print_line
from trainers.signals import starting_threads

REFRESHES = 4  # a second, of the line in a terminal


class Stages:
    """Says what has begun: in a terminal on one line, with its seconds, which is gone afterwards;
    anywhere else on a line with the time of day, of standard error unless `lines` are to go
    elsewhere. A context manager.

    Nothing else may be drawn on the terminal before `end`; what `console` prints meanwhile stands
    above the line. `seconds` have gone since it was made, or since `began` on the monotonic clock.
    """

    def __init__(
        self, console: Console, lines: Console | None = None, began: float | None = None
    ) -> None:
        self._began = monotonic() if began is None else began
        self._console = console
        self._lines = lines or Console(stderr=True)
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def seconds(self) -> float:
        """Since what it tells of began."""
        return monotonic() - self._began

    def begin(self, text: str) -> None:
        """The next stage; the one before it has ended."""
        self.end()
        if not self._console.is_interactive:  # nor a terminal that cannot go back in a line
            print_line(self._lines, f"{datetime.now():%H:%M:%S} {text}")
            return
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            refresh_per_second=REFRESHES,
            transient=True,
        )
        self._progress.add_task(text, total=None)
        with starting_threads():  # it draws in one of its own
            self._progress.start()

    def end(self) -> None:
        """Draw nothing any more."""
        if self._progress:
            self._progress.stop()
        self._progress = None
