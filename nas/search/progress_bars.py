"""Progress bars in a terminal; a line now and then where the output is a file or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from nas.search.stages import Stages

if TYPE_CHECKING:
    from trainers.trainer import EpochReport


class Bars:
    """One bar for each thing that is counted, from the first count on. A context manager.

    `amount`: the columns that tell how much is done, in the place of `3/10`. `stages`: what says on
    the same terminal what is done until then.
    """

    def __init__(
        self, console: Console, *amount: ProgressColumn, stages: Stages | None = None
    ) -> None:
        self._console, self._stages = console, stages
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *(amount or [MofNCompleteColumn()]),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def count(self, done: int, total: int, what: str, note: str = "") -> None:
        """`done` of `total` are `what`: checked, prepared, segmented."""
        if self._stages:
            self._stages.end()
        self._progress.start()
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total, note=note)
        self._progress.update(self._tasks[what], completed=done, total=total, note=note)

    def epoch(self, report: EpochReport, epochs: int, which: str = "") -> None:
        """An epoch of `epochs` was trained; `which`: of what, where there are several."""
        dice = "" if report.dice is None else f"  Dice {report.dice:.4f}"
        note = f"loss {report.loss:.4f}{dice}"
        self.count(report.epoch, epochs, f"{which} epochs trained".strip(), note)
        if not self._console.is_terminal:
            line = f"{which} epoch {report.epoch}/{epochs}  {note}".strip()
            self._console.print(line, highlight=False)
