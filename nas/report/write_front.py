"""The front as files: JSON for programs, CSV for spreadsheets, HTML for people."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from nas.pareto.front import front
from nas.pareto.front_files import front_csv, front_json
from nas.pareto.result import Result
from nas.report.findings import Findings
from nas.report.front_page import front_page
from trainers.atomic import replace_files


def write_front(folder: Path, found: Findings) -> list[Result]:
    """Write front.json, front.csv and front.html into `folder`; return the front's members.

    Each file is replaced whole, and none before all can be: a reader, a kill or a full disk never
    meets or leaves half of one. Raises OSError.
    """
    members = front(found.results, found.objectives)
    record = json.dumps(front_json(members, found.objectives), indent=2, allow_nan=False)
    files = {
        "front.json": record + "\n",
        "front.csv": front_csv(members),
        "front.html": front_page(found),
    }
    replace_files({folder / name: text.encode() for name, text in files.items()})
    return members


def try_write_front(folder: Path, found: Findings) -> list[Result]:
    """`write_front`, with a warning (shown once) in place of an OSError: the old files stay."""
    try:
        return write_front(folder, found)
    except OSError as error:
        warnings.warn(
            f"the front's files in {folder} cannot be written ({error.strerror or error}): they "
            "are tried again when the front changes, at the end, and by segnas sync",
            stacklevel=1,  # one place, however many callers: Python shows it once
        )
        return front(found.results, found.objectives)
