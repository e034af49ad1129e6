"""A search with the runs that its pages lead to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas.cli.console import note
from trainers.errors import UserError

if TYPE_CHECKING:
    from nas.config.run_config import RunConfig
    from nas.report.search_record import SearchRecord


def with_runs(config: RunConfig, record: SearchRecord, directory: Path) -> SearchRecord:
    """The record with the runs of its trials on its MLflow server; without them, and a note, where
    that does not answer."""
    from nas.tracking.lookup import find_trial_runs

    try:
        return replace(record, runs=find_trial_runs(config.tracking, directory, record.id))
    except UserError as error:
        note(f"{error}; the page does not lead to the runs there")
        return record
