"""What may follow a search: each of these is told what happens, and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from nas.engine.report import Report
from nas.pareto.result import Result
from nas.search.running import Running
from nas.search.search_budget import SearchBudget
from nas.search.time_account import TimeAccount
from nas.study.candidate import Candidate
from nas.study.study import Study


class SessionView(Protocol):
    """What a callback sees of a session: its study and budget, and how it stands.

    `members`: the front. `running`: the candidates under way, by trial. `done`: how many trainings
    have ended. `fraction_spent`, `fraction_before`: of the budget, now and when the session began.
    """

    study: Study
    budget: SearchBudget
    time: TimeAccount
    fraction_before: float

    @property
    def members(self) -> Sequence[Result]: ...

    @property
    def running(self) -> Mapping[str, Running]: ...

    @property
    def done(self) -> int: ...

    @property
    def fraction_spent(self) -> float: ...


class SearchCallback:
    """Told of a session, in the order of its events; a method that is not overridden does nothing.

    A callback that raises ends the search.
    """

    def on_report(self, session: SessionView, candidate: Candidate, report: Report) -> None:
        """A candidate, or a repeat of it, did one more step, or its last one."""

    def on_result(self, session: SessionView, result: Result) -> None:
        """A candidate has ended, or a repeat of it; `session.members` is the front with it."""

    def on_front_change(self, session: SessionView) -> None:
        """Other networks are on the front, or beside it, than before, or were trained again; comes
        before the result that changed it."""

    def on_tick(self, session: SessionView) -> None:
        """Called ten times a second while trials run, and after every report."""

    def on_message(self, text: str) -> None:
        """Something that the person at the terminal should know."""
