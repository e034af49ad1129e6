"""What a search could not write or send at its time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from nas.report.read_search import read_locked_search
from nas.report.safe_console import print_line
from nas.report.write_front import try_write_front, write_front
from nas.search.search_info import search_info
from nas.study.folder_lock import alone_in
from nas.study.search_folder import journal_in
from nas.study.summary import JOURNAL_BYTES, read_summary
from nas.tracking import SyncReport, Tracker
from trainers.counted import counted


def sync_search(directory: Path, console: Console) -> int:
    """Write the front of the search in `directory` anew, and send MLflow what it lacks.

    Returns 0, or 1 where the front could not be written or MLflow did not take everything. Raises
    UserError for a folder that is no search, or that a search is running in.
    """
    directory = directory.resolve()
    journal_in(directory)
    with alone_in(directory):
        config, record = read_locked_search(directory)
        results = record.results
        members = len(record.members)
        print_line(console, f"{directory}: {len(results)} results, {members} on the front")
        written = True
        try:
            write_front(directory, record, record.importances)
        except OSError as error:
            written = False
            print_line(console, f"The front cannot be written: {error.strerror or error}")
        if not config.tracking.enabled:
            print_line(console, "MLflow is off (tracking.enabled: false)")
            return 0 if written else 1
        tracker = Tracker(config.tracking, directory, search_info(config, record.id, running=False))
        sent = tracker.sync([*results, *record.beside, *record.infeasible_beside])
        if written and tracker.runs.ids:  # the page leads to them
            try_write_front(directory, replace(record, runs=tracker.runs), record.importances)
        if sent.failed is None:
            summary, status = _summary(directory)
            sent = tracker.finish(directory, summary, status)
    for line in _lines(sent):
        print_line(console, line)
    return 0 if written and sent.failed is None else 1


def _summary(directory: Path) -> tuple[dict[str, float], str | None]:
    """The numbers of a search that came to its end, and how it ended.

    Nothing where the search went on afterwards: its journal is then longer.
    """
    told = read_summary(directory)
    if told.pop(JOURNAL_BYTES, 0) != journal_in(directory).stat().st_size:
        return {}, None
    numbers = {n: float(v) for n, v in told.items() if isinstance(v, int | float)}
    return numbers, told.get("status")


def _lines(sent: SyncReport) -> Iterator[str]:
    what = {
        f"{counted(sent.made, 'run')} made": sent.made,
        f"{counted(sent.completed, 'run')} completed": sent.completed,
        f"{counted(sent.epochs, 'epoch')} added": sent.epochs,
        f"{counted(sent.killed, 'run')} ended that nobody goes on with": sent.killed,
        "the search's own run brought up to date": sent.closed,
    }
    done = [text for text, number in what.items() if number]
    if done:
        yield f"MLflow: {', '.join(done)}"
    if sent.failed is not None:
        yield f"MLflow lacks the rest, for it failed: {sent.failed}. The same command goes on."
    elif not done:
        yield "MLflow: nothing was missing"
