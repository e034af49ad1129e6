"""What the results of one study have in common, which must not change under it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainers.errors import UserError

UNSAID = {"space.axes": "isotropic"}  # what a study has that does not record it
AWAY = re.compile(r"latency\.devices\.[^.]+")  # null, where a device did not answer


def check_settings_unchanged(
    old: Mapping[str, Any], new: Mapping[str, Any], directory: Path
) -> None:
    """Raise UserError with every value that differs between two trees of JSON values."""
    if changes := list(_changes({**UNSAID, **old}, {**UNSAID, **new})):
        raise UserError(
            f"{directory} holds a search with other settings; give --dir a new folder, or set "
            "them back:\n  " + "\n  ".join(changes)
        )


def _changes(old: Any, new: Any, name: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            place = f"{name}.{key}" if name else key
            away = AWAY.fullmatch(place) and key in old and key in new
            if not (away and None in (old[key], new[key])):
                yield from _changes(old.get(key), new.get(key), place)
    elif old != new:
        yield f"{name} was {_short(old)} and is {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
