"""Where the records of a search go."""

from __future__ import annotations

from pydantic import field_validator

from trainers.home import from_home
from trainers.strict import Strict


class TrackingConfig(Strict):
    """MLflow's address for the search.

    `uri`: any MLflow tracking URI; none is a sqlite store in the search's own folder (`mlflow.db`,
    artifacts in `mlartifacts`).
    """

    enabled: bool = True
    uri: str | None = None
    experiment: str = "segnas"

    @field_validator("uri")
    @classmethod
    def _folder_at_home(cls, uri: str | None) -> str | None:
        return str(from_home(uri)) if uri and uri.startswith("~") else uri
