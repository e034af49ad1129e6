"""Candidates that were trained again with other seeds: a file each, in the search's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.pareto.result import Result
from trainers.atomic import replace_files
from trainers.errors import UserError

FOLDER = "confirm"
UNKNOWN = (
    "worker lost ",
    "hung: ",
)  # how the reasons begin of which the network need not be the cause


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """One more training of the network `key`: its Dice, or the reason why there is none."""

    key: str
    architecture: Mapping[str, Any]
    seed: int
    dice: float | None
    curve: tuple[float, ...]
    reason: str | None = None
    dice_per_class: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def tells(self) -> bool:
        """Whether it says anything of the network: not where it only lost its worker, or hung."""
        return self.dice is not None or not (self.reason or "").startswith(UNKNOWN)

    def write(self, directory: Path) -> None:
        """Keep it in the folder of the search. Raises OSError."""
        file = directory / FOLDER / f"{self.key}-seed{self.seed}.json"
        file.parent.mkdir(exist_ok=True)
        replace_files({file: json.dumps(asdict(self), indent=1).encode()})


def read_repeats(directory: Path) -> list[Repeat]:
    """Those of the search in `directory`, by key and seed. Raises UserError for a damaged file."""
    found = []
    for file in (directory / FOLDER).glob("*-seed*.json"):
        try:
            told = json.loads(file.read_bytes())
            found.append(Repeat(**{**told, "curve": tuple(told["curve"])}))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{file} is damaged ({error}); delete it, to train that again"
            ) from error
    return sorted(found, key=lambda repeat: (repeat.key, repeat.seed))


def trained_again(result: Result, repeats: Sequence[Repeat]) -> Result:
    """A complete result of one training, with its `repeats`: Dice is the mean of all, 0 where the
    network failed in one; that of a class is the mean of those that tell it. A repeat that was lost
    is none."""
    repeats = [repeat for repeat in repeats if repeat.tells]
    if not repeats or result.state != "complete" or result.dice is None:
        return result
    trainings = (result.dice, *(repeat.dice or 0.0 for repeat in repeats))
    told = [result.dice_per_class, *(repeat.dice_per_class for repeat in repeats)]
    known = {
        name: [dice for one in told if (dice := one.get(name)) is not None]
        for name in result.dice_per_class
    }
    per_class = {name: float(np.mean(dice)) if dice else None for name, dice in known.items()}
    return replace(
        result, trainings=trainings, dice=float(np.mean(trainings)), dice_per_class=per_class
    )
