"""The front as files: JSON for programs, CSV for spreadsheets, HTML for people."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.pareto.front_files import front_csv, front_json
from nas.report.front_page import front_page
from nas.report.search_record import SearchRecord
from trainers.atomic import replace_files

if TYPE_CHECKING:
    from nas.study.knob_importance import Importance


def write_front(
    folder: Path, record: SearchRecord, importances: Sequence[Importance] | None = None
) -> None:
    """Write front.json, front.csv and front.html into `folder`.

    `importances`: of the knobs, for the page; None while the search runs, for they take seconds.
    Each file is replaced whole, and none before all can be: a reader, a kill or a full disk never
    meets or leaves half of one. Raises OSError.
    """
    files = front_contents(record, importances, in_folder=True)
    replace_files({folder / name: content for name, content in files.items()})


def front_contents(
    record: SearchRecord, importances: Sequence[Importance] | None, in_folder: bool
) -> dict[str, bytes]:
    """What `write_front` writes, by the names of the files; elsewhere not `in_folder`."""
    texts = {
        "front.json": json.dumps(front_json(record.front), indent=2, allow_nan=False) + "\n",
        "front.csv": front_csv(record.front),
        "front.html": front_page(record, importances, in_folder),
    }
    return {name: text.encode() for name, text in texts.items()}


def try_write_front(
    folder: Path, record: SearchRecord, importances: Sequence[Importance] | None = None
) -> None:
    """`write_front`, with a warning (shown once) in place of an OSError: the old files stay."""
    try:
        write_front(folder, record, importances)
    except OSError as error:
        warnings.warn(
            f"the front's files in {folder} cannot be written ({error.strerror or error}): they "
            "are tried again when the front changes, at the end, and by segnas sync",
            stacklevel=1,  # one place, however many callers: Python shows it once
        )
