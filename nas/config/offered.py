"""Parts of a search that installed packages offer as entry points."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from trainers.errors import UserError


def refuse_booleans(key: str, arguments: Mapping[str, Any], annotations: Mapping[str, str]) -> None:
    """Raises UserError for a true or false where the annotation has a number and no boolean.

    `key`: of the configuration that has the `arguments`; `annotations`: theirs, as text.
    """
    for name, value in arguments.items():
        words = set(re.findall(r"\w+", annotations.get(name, "")))
        if isinstance(value, bool) and words & {"int", "float"} and "bool" not in words:
            raise UserError(f"{key}.{name} = {str(value).lower()}: expected a number")


def load_offered(group: str, key: str, name: object, ours: Iterable[str]) -> Any:
    """What the entry point `name` of the group stands for.

    Raises UserError, with the `key` of the configuration that names it, where neither `ours` nor
    any package has that name, and where it does not import.
    """
    offered = {entry.name: entry for entry in entry_points(group=group)}
    entry = offered.get(str(name))
    if entry is None:
        raise UserError(f"{key}: {name} is unknown; there are {', '.join([*ours, *offered])}")
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"entry point {entry.name} = {entry.value}: {error}") from error
