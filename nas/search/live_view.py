"""What a search shows: a live table in a terminal, a line a trial anywhere else."""

from __future__ import annotations

from time import monotonic
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.engine.report import Report
from nas.pareto.front import spread
from nas.pareto.front_files import Front
from nas.pareto.objectives import DICE, LATENCY, costs_among, device_of, objective
from nas.pareto.result import Result
from nas.report.safe_console import print_line
from nas.report.terminal_tables import clock, front_table
from nas.search.callback import SearchCallback, SessionView
from nas.search.stages import Stages
from nas.study.candidate import Candidate

REFRESH_SECONDS = 1.0
FRONT_ROWS = 8
SHOWN = ("params", "macs")  # costs of the trials under way


class Screen(SearchCallback):
    """Shows a session under a title. A context manager; draws only when it is called, in no thread
    of its own, and in the place of `stages`, which say what comes before."""

    def __init__(self, console: Console, title: str, stages: Stages) -> None:
        self._console, self._title, self._stages = console, title, stages
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._next = 0.0
        self._silent = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stages.end()
        if self._live:
            self._live.stop()

    def on_tick(self, session: SessionView) -> None:
        """Draw the session, once a second at most."""
        now = monotonic()
        if self._live and now >= self._next:
            self._next = now + REFRESH_SECONDS
            self._draw(self._live, overview(session, self._title))

    def on_report(self, session: SessionView, candidate: Candidate, report: Report) -> None:
        """That training has begun, where there is no live table: the first result comes later."""
        if not self._live and self._silent:
            self._silent = False
            epochs = session.budget.epochs_of(candidate)
            self._stages.begin(f"{candidate.label} trains: epoch {report.epoch} of {epochs}")

    def on_result(self, session: SessionView, result: Result) -> None:
        """A line where there is no live table."""
        if self._live:
            self._next = 0.0
            self.on_tick(session)
        else:
            self.on_message(_line(session, result))

    def on_stage(self, text: str, worth: bool) -> None:
        """Where the search is before its candidates; a line where there is no live table, if it is
        `worth` one."""
        if self._live:
            self._draw(self._live, Text(f"{self._title}  supernet  {text}"))
        elif worth:
            self.on_message(f"supernet  {text}")

    def on_message(self, text: str) -> None:
        """One line, above the live table where there is one."""
        print_line(self._console, text)

    def _draw(self, live: Live, what: RenderableType) -> None:
        self._stages.end()
        live.start()
        live.update(what, refresh=True)


def overview(session: SessionView, title: str) -> Group:
    """Progress, the trials under way and the front so far."""
    heading = Text(f"{title}  ", style="bold")
    heading.append(_progress(session), style="default")
    front = Front(
        members=spread(session.members, FRONT_ROWS),
        objectives=session.study.objectives,
        baselines=session.study.baselines,
        compressed=session.study.compressed,
    )
    return Group(heading, _running_table(session), front_table(front))


def seconds_left(session: SessionView) -> float | None:
    """An estimate from the progress of this session; None before a trial of it ended."""
    made = session.fraction_spent - session.fraction_before
    if not session.done or made <= 0:
        return None
    left = (1 - session.fraction_spent) / made * session.time.elapsed
    return min(left, max(session.budget.seconds_left(session.time.spent), 0.0))


def _progress(session: SessionView) -> str:
    states, left = session.study.states, seconds_left(session)
    best = max((r.dice for r in session.members if r.dice is not None), default=None)
    parts = [
        session.budget.progress_text(session.done, session.fraction_spent),
        f"{states['stopped']} stopped early",
        f"{states['infeasible']} infeasible",
        f"best Dice {DICE.exact(best)}",
        f"elapsed {clock(session.time.elapsed)}",
        f"left about {clock(left)}" if left is not None else "left ...",
    ]
    return "  ".join(parts)


def _running_table(session: SessionView) -> Table:
    table = Table(title="running", title_justify="left", title_style="bold")
    table.add_column("key", no_wrap=True)
    for name in ("epoch", "Dice", *(objective(cost).title for cost in SHOWN)):
        table.add_column(name, justify="right", no_wrap=True)
    for running in session.running.values():
        candidate, report = running.candidate, running.report
        table.add_row(
            candidate.label,
            f"{report.epoch}/{session.budget.epochs_of(candidate)}",
            DICE.exact(report.curve[-1] if report.curve else None),
            *(objective(cost).short(candidate.costs.get(cost)) for cost in SHOWN),
        )
    return table


def _latencies(result: Result) -> str:
    """`12.3 ms`; of several devices `12.3 ms on here, 40.1 ms on clinic`."""
    name, *_ = several = costs_among(n for n in result.costs if device_of(n)) or [LATENCY]
    short = objective(name).short
    if not device_of(name):
        return short(result.value(name))
    return ", ".join(f"{short(result.value(n))} on {device_of(n)}" for n in several)


def _line(session: SessionView, result: Result) -> str:
    params = objective("params").short(result.value("params"))
    costs = f"{params} params  {_latencies(result)}"
    if result.state == "complete":
        place = "  on the front" if result in session.members else ""
        several = f", mean of {len(result.trainings)}" if result.trainings else ""
        outcome = f"Dice {DICE.exact(result.dice)}{several}  {costs}{place}"
    elif result.state == "stopped":
        outcome = f"{result.reason} at Dice {DICE.exact(result.curve[-1])}  {costs}"
    else:
        outcome = f"infeasible: {result.reason}"
    left = seconds_left(session)
    left_text = "" if left is None else f"  (left about {clock(left)})"
    progress = session.budget.progress_text(session.done, session.fraction_spent)
    name = f"baseline {result.baseline}" if result.baseline else result.key
    return f"[{clock(session.time.elapsed)}] {progress}  {name}  {outcome}{left_text}"
