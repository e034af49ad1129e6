"""What MLflow is told of a search, besides its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Search:
    """What the parent run of a search holds and needs.

    `id`: by which the run is found again. `objectives`: what trials are ranked by.
    `validate_every`: the epochs between two points of a candidate's curve. `running`: whether the
    search is going on; false where only its records are completed.
    """

    id: str
    name: str
    config_yaml: str
    params: Mapping[str, Any]
    objectives: Sequence[str] = ("dice", "params")
    validate_every: int = 1
    running: bool = True
