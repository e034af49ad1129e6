"""The seconds that the sessions of a search have taken so far, in its folder."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from trainers.atomic import replace_files
from trainers.errors import UserError

SPENT = "spent.json"


def read_spent(directory: Path) -> float:
    """Those of the search in `directory`; 0 where none are recorded.

    Raises UserError for a file that is damaged.
    """
    file = directory / SPENT
    if not file.exists():
        return 0.0
    try:
        return float(json.loads(file.read_bytes())["seconds"])
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{file} is damaged ({error}); delete it, and search.hours is counted anew"
        ) from error


def keep_spent(directory: Path, seconds: float) -> None:
    """Record them; a warning says where they cannot be."""
    file = directory / SPENT
    try:
        replace_files({file: json.dumps({"seconds": seconds}).encode()})
    except OSError as error:
        warnings.warn(f"{SPENT} cannot be written: {error.strerror or error}", stacklevel=1)
