"""What may follow a search: each of these is told what happens, and decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.engine.report import Report
from nas.pareto.result import Result
from nas.study.candidate import Candidate

if TYPE_CHECKING:
    from nas.search.session import Session


class SearchCallback:
    """Told of a session, in the order of its events; a method that is not overridden does nothing.

    A callback that raises ends the search.
    """

    def on_report(self, session: Session, candidate: Candidate, report: Report) -> None:
        """A candidate did one more step, or its last one."""

    def on_result(self, session: Session, result: Result) -> None:
        """A candidate has ended; `session.members` is the front with it."""

    def on_front_change(self, session: Session) -> None:
        """Other networks are on the front than before; comes before the result that changed it."""

    def on_tick(self, session: Session) -> None:
        """Called ten times a second while trials run, and after every report."""

    def on_message(self, text: str) -> None:
        """Something that the person at the terminal should know."""
