"""A search in numbers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.study.search_folder import journal_in
from trainers.atomic import replace_files

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


def write_summary(directory: Path, told: Mapping[str, Any]) -> None:
    """What `read_summary` reads, of the journal as it is now. Warns where it cannot be written."""
    told = {**told, JOURNAL_BYTES: journal_in(directory).stat().st_size}
    try:
        replace_files({directory / SUMMARY: f"{json.dumps(told, indent=1)}\n".encode()})
    except OSError as error:
        warnings.warn(f"{SUMMARY} cannot be written: {error.strerror or error}", stacklevel=2)


@contextmanager
def still_current(directory: Path) -> Iterator[None]:
    """The block that writes into the journal in `directory` what is no part of the search: a
    summary that tells of the search as it stands does so afterwards."""
    told, journal = read_summary(directory), journal_in(directory)
    current = told.get(JOURNAL_BYTES) == journal.stat().st_size
    yield
    if not current:
        return
    write_summary(directory, told)
