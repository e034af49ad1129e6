"""Where the records of a search go, and what they say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainers.strict import Strict


class TrackingConfig(Strict):
    """MLflow's address for the search.

    `uri`: any MLflow tracking URI; none is a sqlite store in the search's own folder (`mlflow.db`,
    artifacts in `mlartifacts`).
    """

    enabled: bool = True
    uri: str | None = None
    experiment: str = "segnas"


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
