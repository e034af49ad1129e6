"""A search in numbers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SUMMARY = "summary.json"
JOURNAL_BYTES = "journal_bytes"  # in that file: how long the journal was, which tells if it is old


@dataclass(frozen=True)
class Summary:
    """A search in numbers; the times are of its latest session.

    `trials`: whole trainings; `stopped`: those ended early; `epochs`: of both. `repeats`: proposals
    of networks that were tried before; `trained_again`: repeats of trainings. `slot_seconds`:
    number of slots times the wall seconds from the first launch to the end; `worker_seconds`: those
    with a trial in the slot; `train_seconds`: those inside training and validation. The rest of a
    worker's seconds went into its start, building, measuring and reporting.
    """

    trials: int
    stopped: int
    infeasible: int
    repeats: int
    epochs: int
    trained_again: int
    front: int
    best_dice: float | None
    slots: int
    wall_seconds: float
    slot_seconds: float
    worker_seconds: float
    train_seconds: float

    @property
    def training_share(self) -> float:
        """The share of all slot seconds that was inside training and validation."""
        return self.train_seconds / self.slot_seconds if self.slot_seconds else 0.0

    def to_json(self) -> dict[str, int | float | None]:
        """A plain dict of JSON values."""
        return {**asdict(self), "training_share": self.training_share}

    def metrics(self) -> dict[str, float]:
        """What is known of it, as numbers."""
        return {name: float(v) for name, v in self.to_json().items() if v is not None}


def read_summary(directory: Path) -> dict[str, Any]:
    """The numbers of the last session of the search in `directory`, and its `status`.

    Empty where it did not end, or a full disk cut the file off: the results are in the journal.
    """
    try:
        told = json.loads((directory / SUMMARY).read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
