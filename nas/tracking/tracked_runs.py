"""Where a person finds the runs of a search's trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from nas.tracking.store import without_password


@dataclass(frozen=True)
class TrackedRuns:
    """`ids`: of the runs, by `Result.name`. `address`: that of a run on the server, less its id at
    the end; empty where the store is none that a browser reaches."""

    ids: Mapping[str, str] = field(default_factory=dict)
    address: str = ""

    @classmethod
    def at(cls, uri: str, experiment: str, ids: Mapping[str, str]) -> Self:
        """Runs of the experiment of that id in the store at `uri`."""
        server = without_password(uri).rstrip("/")
        place = f"{server}/#/experiments/{experiment}/runs/"
        return cls(ids, place if server.startswith("http") else "")
