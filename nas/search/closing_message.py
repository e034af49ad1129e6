"""The last lines of a search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nas.report.search_record import SearchRecord
from nas.report.terminal_tables import clock, shell_path
from nas.search.baseline_queue import BaselineQueue
from nas.search.session import Session
from nas.study.summary import Summary
from nas.tracking import Tracker
from trainers.counted import counted


def closing_lines(
    session: Session,
    summary: Summary,
    record: SearchRecord,
    baselines: BaselineQueue | None,
    directory: Path,
    tracker: Tracker,
    seconds: float,
) -> Iterator[str]:
    """What a search says in the end: how it went, and what can be done with it.

    `seconds`: since its command began, with preparation and measuring.
    """
    if session.notice:
        yield f"Ended early: {session.notice}"
    hours = session.budget.search.hours
    if (
        hours is not None
        and not session.time.begun
        and session.budget.out_of_time(session.time.spent)
    ):
        yield f"search.hours = {hours:g} is spent; with more the same command goes on"
    stopped = f"{summary.stopped} stopped early, " if summary.stopped else ""
    again = f"{summary.trained_again} trained again, " if summary.trained_again else ""
    yield (
        f"{counted(summary.trials, 'trial')}, {stopped}{again}{summary.infeasible} infeasible, "
        f"{counted(summary.repeats, 'repeat')} answered from the journal, in "
        f"{clock(summary.wall_seconds)} of searching, {clock(seconds)} in all; "
        f"{summary.training_share:.0%} of worker time in training and validation"
    )
    if record.baseline_verdict:
        yield record.baseline_verdict
    if record.waiting:
        yield f"{record.waiting} Once the device answers, the same command asks it again"
    if baselines and (left_out := baselines.left_out):
        names = {why: [n for n in left_out if left_out[n] == why] for why in left_out.values()}
        told = (f"{', '.join(alike)} ({why})" for why, alike in names.items())
        yield f"Baselines left out: {'; '.join(told)}"
    folder = shell_path(directory)
    if summary.front:
        yield f"Browse: {shell_path(directory / 'front.html')}"
        yield f"Next:   segnas export {folder} --pick knee --to OUT"
    if tracker.local:
        yield f"MLflow: segnas ui {folder}"
    elif link := tracker.link():
        yield f"MLflow: {link}"
    if tracker.behind:
        yield f"MLflow lacks some of it; once it answers: segnas sync {folder}"
    if session.interrupted:
        yield "Interrupted. The same command goes on from here."
