"""What a search shows: a live table in a terminal, a line a trial anywhere else."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.pareto.front import spread
from nas.pareto.result import Result
from nas.report.terminal_tables import clock, front_table, number_text

if TYPE_CHECKING:
    from nas.search.session import Session

REFRESH_SECONDS = 1.0
FRONT_ROWS = 8


class Screen:
    """Shows a session. A context manager; draws only when it is called, in no thread of its own."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._next = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def tick(self, session: Session) -> None:
        """Draw the session, once a second at most."""
        now = monotonic()
        if self._live and now >= self._next:
            self._next = now + REFRESH_SECONDS
            self._live.update(overview(session), refresh=True)

    def ended(self, session: Session, result: Result) -> None:
        """A trial has ended."""
        if self._live:
            self._next = 0.0
            self.tick(session)
        else:
            self.say(_line(session, result))

    def say(self, text: str) -> None:
        """One line, above the live table where there is one."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def overview(session: Session) -> Group:
    """Progress, the trials under way and the front so far."""
    heading = Text(f"{session.config.name}  ", style="bold")
    heading.append(_progress(session), style="default")
    return Group(heading, _running_table(session), front_table(spread(session.members, FRONT_ROWS)))


def seconds_left(session: Session) -> float | None:
    """An estimate from the progress of this session; None before a trial of it ended."""
    made = session.progress - session.progress_before
    if not session.done or made <= 0:
        return None
    left = (1 - session.progress) / made * session.elapsed
    if session.config.search.hours is not None:
        left = min(left, max(3600 * session.config.search.hours - session.elapsed, 0.0))
    return left


def _progress(session: Session) -> str:
    states, left = session.study.states, seconds_left(session)
    best = max((r.dice for r in session.members if r.dice is not None), default=None)
    parts = [
        _count(session),
        f"{states['stopped']} stopped early",
        f"{states['infeasible']} infeasible",
        f"best Dice {number_text(best, '.4f')}",
        f"elapsed {clock(session.elapsed)}",
        f"left about {clock(left)}" if left is not None else "left ...",
    ]
    return "  ".join(parts)


def _count(session: Session) -> str:
    """How far a search is, by what it spends."""
    search = session.config.search
    counted = search.budget == "epochs" and not (search.epochs or search.early_stopping)
    if counted or search.budget == "trials":
        return f"{session.done}/{search.trials} trials"
    return f"{session.done} trials, {session.progress:.0%} of the {search.budget}"


def _running_table(session: Session) -> Table:
    table = Table(title="running", title_justify="left", title_style="bold")
    for name in ("key", "epoch", "Dice", "params", "GMACs"):
        table.add_column(name, justify="left" if name == "key" else "right", no_wrap=True)
    for running in session.running.values():
        candidate, report = running.candidate, running.report
        table.add_row(
            candidate.key,
            f"{report.epoch}/{session.config.train.epochs}",
            number_text(report.curve[-1] if report.curve else None, ".4f"),
            f"{candidate.costs['params']:,}",
            f"{candidate.costs['macs'] / 1e9:.3g}",
        )
    return table


def _line(session: Session, result: Result) -> str:
    params, latency = result.costs.get("params"), result.costs.get("latency_ms")
    costs = f"{number_text(params, ',')} params  {number_text(latency, '.3g')} ms"
    if result.state == "complete":
        place = "  on the front" if result in session.members else ""
        outcome = f"Dice {number_text(result.dice, '.4f')}  {costs}{place}"
    elif result.state == "stopped":
        outcome = f"{result.reason} at Dice {number_text(result.curve[-1], '.4f')}  {costs}"
    else:
        outcome = f"infeasible: {result.reason}"
    left = seconds_left(session)
    left_text = "" if left is None else f"  (left about {clock(left)})"
    return f"[{clock(session.elapsed)}] {_count(session)}  {result.key}  {outcome}{left_text}"
