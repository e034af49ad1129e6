"""What the records of a search say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Search:
    """What the parent run says of the search; it is found again by `id`.

    `objectives`: what trials are ranked by. `validate_every`: the epochs between two points of a
    candidate's curve. `running`: whether it is going on, rather than only having its records
    completed.
    """

    id: str
    name: str
    config_yaml: str
    params: Mapping[str, Any]
    objectives: Sequence[str] = ("dice", "params")
    validate_every: int = 1
    running: bool = True
