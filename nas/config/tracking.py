"""Where the records of a search go."""

from __future__ import annotations

import difflib
import re

from pydantic import field_validator

from trainers.home import from_home
from trainers.strict import Strict

# Others may be a plugin's.
SCHEMES = ("http", "https", "file", "sqlite", "postgresql", "mysql", "mssql", "databricks", "uc")


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
    def _is_none_without_text(cls, uri: str | None) -> str | None:
        return uri or None

    @field_validator("uri")
    @classmethod
    def _folder_at_home(cls, uri: str | None) -> str | None:
        return str(from_home(uri)) if uri and uri.startswith("~") else uri

    @field_validator("uri")
    @classmethod
    def _is_no_slip(cls, uri: str | None) -> str | None:
        """Refuse what would be waited for until the end, and never answer."""
        if uri and re.fullmatch(r"[\w.-]+:\d+(/.*)?", uri):
            raise ValueError(f"an address without its scheme; write http://{uri}")
        scheme, colon, rest = (uri or "").partition("://")
        known = not colon or scheme.partition("+")[0] in SCHEMES
        if not known and (near := difflib.get_close_matches(scheme.lower(), SCHEMES, n=1)):
            raise ValueError(f"no scheme that MLflow knows; write {near[0]}://{rest}")
        return uri
