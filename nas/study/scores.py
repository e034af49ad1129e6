"""What networks come to with weights that they share: a guess of their Dice, and never a result.

A file of its own beside the journal, a line a network, which is only ever added to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from search_spaces.space import Option
from trainers.errors import UserError

SCORES = "scores.jsonl"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One network: `params`, for which sampling gives it, and its exact costs, without the memory.

    `dice`: the mean over `cases` validation cases by weights shared after `epoch` epochs.
    """

    key: str
    params: Mapping[str, Option]
    costs: Mapping[str, float]
    dice: float
    epoch: int
    cases: int


class Scores:
    """All scores of a search, by key, and their file. One process at a time may write it.

    What a death during a write left at the end of the file is cut off. Raises UserError for other
    damage.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / SCORES
        self._scores = {score.key: score for score in self._read()}

    def __len__(self) -> int:
        return len(self._scores)

    def __iter__(self) -> Iterator[Score]:
        return iter(self._scores.values())

    def __contains__(self, key: object) -> bool:
        return key in self._scores

    def get(self, key: str) -> Score | None:
        """That of the network with this key, if it has one."""
        return self._scores.get(key)

    def add(self, scores: Iterable[Score]) -> None:
        """Keep what is new. Raises OSError where the file cannot be written, which is then what it
        was; this session knows them all the same."""
        new = {score.key: score for score in scores if score.key not in self._scores}
        if not new:
            return
        self._scores |= new
        lines = "".join(json.dumps(asdict(score)) + "\n" for score in new.values())
        end = self._path.stat().st_size if self._path.exists() else 0
        try:
            with self._path.open("ab") as file:
                file.write(lines.encode())
        except OSError:  # only once it is closed, which writes what is left in the buffer
            with suppress(OSError):
                os.truncate(self._path, end)
            raise

    def _read(self) -> list[Score]:
        if not self._path.exists():
            return []
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self._path, len(whole))
        found = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                found.append(Score(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise UserError(
                    f"{self._path}: line {number} is damaged ({error}); delete it, to score that "
                    "network again"
                ) from error
        return found
