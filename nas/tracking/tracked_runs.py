"""Where a person finds the runs of a search's trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TrackedRuns:
    """`ids`: of the runs, by `Result.name`. `address`: that of a run on the server, less its id at
    the end; empty where the store is none that a browser reaches."""

    ids: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
