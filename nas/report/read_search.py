"""A search as its folder tells it."""

from __future__ import annotations

from pathlib import Path

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.report.search_record import SearchRecord
from nas.report.untrained import read_untrained
from nas.study.folder_lock import reading_in
from nas.study.search_folder import journal_in
from nas.study.stored_results import read_records
from nas.study.summary import read_summary
from trainers.data.task import Task


def read_search(directory: Path) -> tuple[RunConfig, SearchRecord]:
    """The configuration and the record of the search in `directory`.

    Raises UserError for a folder that is no search, or that a search is running in.
    """
    directory = directory.resolve()
    journal_in(directory)
    with reading_in(directory):
        return read_locked_search(directory)


def read_locked_search(directory: Path) -> tuple[RunConfig, SearchRecord]:
    """The same for who holds `alone_in(directory)` or `reading_in(directory)`."""
    config = read_config(RunConfig, directory / "config.yaml", recorded=True)
    stored = read_records(directory, config.space.name, config.budget)
    return config, SearchRecord(
        results=tuple(stored.results),
        objectives=config.objectives,
        title=config.name,
        classes=Task.read(directory).targets.names,
        space=config.space.space(),
        starts=stored.starts,
        baselines=stored.baselines,
        compressed=stored.compressed,
        infeasible_beside=stored.infeasible_beside,
        untrained=read_untrained(directory),
        id=stored.id,
        summary=read_summary(directory),
        settings=stored.fixed,
    )
