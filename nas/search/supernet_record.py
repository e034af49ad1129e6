"""How far the supernet of a search is, in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nas.export.shared_weights import FOLDER
from trainers.atomic import replace_files
from trainers.errors import UserError

RECORD = "record.json"


@dataclass
class SupernetRecord:
    """`epochs`: of its whole training, once they are known. `curve`: the metrics of every epoch
    that was heard of, with its number as `epoch`. `scoring_seconds`: for which candidates were
    scored, in all sessions."""

    epochs: int | None = None
    trained: bool = False
    train_seconds: float = 0.0
    scoring_seconds: float = 0.0
    curve: list[Mapping[str, float]] = field(default_factory=list)

    @classmethod
    def read(cls, search: Path) -> SupernetRecord:
        """That of the search in this folder; a new one where there is none.

        Raises UserError for a file that is damaged.
        """
        file = search / FOLDER / RECORD
        if not file.exists():
            return cls()
        try:
            return cls(**json.loads(file.read_bytes()))
        except (ValueError, TypeError) as error:
            raise UserError(f"{file} is damaged ({error}); expected what a search wrote") from error

    def write(self, search: Path) -> None:
        """Keep it. Raises OSError."""
        file = search / FOLDER / RECORD
        file.parent.mkdir(exist_ok=True)
        replace_files({file: json.dumps(asdict(self), indent=1).encode()})
