"""The folder of a search, known without Optuna: its journal's place, and the search's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainers.errors import UserError

JOURNAL = "journal.log"


def journal_in(directory: Path) -> Path:
    """The journal of the search in `directory`. Raises UserError where there is none."""
    path = directory / JOURNAL
    if not path.is_file():
        raise UserError(
            f"{directory} is no search: {JOURNAL} is missing; expected the folder of a search "
            "(runs/NAME)"
        )
    return path


def checkpoint_in(directory: Path, key: str) -> Path:
    """What the training of the network goes on from, and its weights in the end."""
    return directory / "checkpoints" / f"{key}.pt"


def search_id(directory: Path) -> str:
    """What names the study in `directory` everywhere. Changes nothing, so a search may be running.

    Raises UserError where there is no search.
    """
    journal_in(directory)
    if name := _first(directory, "id"):
        return str(name)
    raise UserError(f"{directory} holds a search that never began")


def recorded_settings(directory: Path) -> Mapping[str, Any]:
    """What the study in `directory` was given as `fixed` when it began; empty where there is none.

    Changes nothing.
    """
    return _first(directory, "facts") or {}


def _first(directory: Path, name: str) -> Any:
    """The first value of this attribute of the study in `directory`; None where it has none."""
    journal = directory / JOURNAL
    for line in journal.read_bytes().splitlines() if journal.is_file() else ():
        try:
            value = json.loads(line).get("user_attr", {}).get(name)
        except (ValueError, RecursionError):
            break
        except AttributeError:  # JSON that no search wrote
            continue
        if value:
            return value
    return None
