"""What the engine asks and tells while trials run: a session of the search, seen from below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nas.engine.report import Report


class Job(Protocol):
    """What a trial works on, as a `Candidate` is: its worker gets these three.

    `name`: of its files. `record`: JSON values that tell what is to be done.
    """

    @property
    def name(self) -> str: ...

    @property
    def record(self) -> Mapping[str, Any]: ...

    @property
    def seed(self) -> int | None: ...


class TrialSource(Protocol):
    """Says which candidates are evaluated, hears what becomes of them, and decides who goes on.

    `running`: the trials under way, by name. `over`: nothing is left to wait for. `interrupted`:
    nothing is to begin any more, and what runs is to stop at its next report.
    """

    @property
    def running(self) -> Mapping[str, object]: ...

    @property
    def over(self) -> bool: ...

    @property
    def interrupted(self) -> bool: ...

    def start(self, trial_id: str) -> Job | None:
        """What the trial of this name works on, mostly a candidate; None for nothing now."""

    def report(self, trial_id: str, report: Report) -> bool:
        """An epoch was trained, or the trial failed. False: it is to be stopped now."""

    def on_worker_lost(self, trial_id: str, counts: bool, cause: str | None = None) -> None:
        """A trial's worker died, or raised what `cause` says; `counts`: the trial itself may be to
        blame."""

    def end(self, trial_id: str) -> None:
        """A trial ended with its last report."""

    def resize(self, slots: int) -> None:
        """From now on there is room for so many trials."""

    def interrupt(self) -> None:
        """Start nothing more, and stop what runs at its next report.

        Called while anything may be under way: prints and writes nothing.
        """

    def tick(self) -> None:
        """Called ten times a second between other calls: what is due by the clock is done."""

    def say(self, text: str) -> None:
        """One line for the person at the terminal."""

    def requeue(self) -> None:
        """The engine stopped: what was under way is for its next start."""
