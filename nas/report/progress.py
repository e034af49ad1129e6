"""How far a search is while it runs, as its page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """A training that goes on: `epoch` of `epochs` are done, and `dice` is the latest, if any."""

    name: str
    epoch: int
    epochs: int
    dice: float | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`fraction`: of the budget of the search that is spent, from 0 to 1. `written`: when, in
    seconds since 1970, so that a reader sees how old the page is."""

    fraction: float
    written: float
    running: Sequence[UnderWay] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "running": [asdict(one) for one in self.running]}
