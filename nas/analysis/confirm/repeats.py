"""One more training of a candidate of a search, with another seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from nas.config.run_config import RunConfig
from nas.engine.evaluator import Workspace
from nas.engine.train_from_scratch import TrainFromScratch
from trainers.atomic import replace_files
from trainers.data.cache import VolumeCache
from trainers.data.splits import split_cases
from trainers.errors import UserError
from trainers.inference import no_pause

FOLDER = "confirm"


@dataclass(frozen=True)
class Repeat:
    """What is to be trained: an architecture, by its record, and the seed."""

    key: str
    architecture: Mapping[str, Any]
    seed: int

    def file(self, directory: Path) -> Path:
        """Where its outcome is kept, below the search's folder."""
        return directory / FOLDER / f"{self.key}-seed{self.seed}.json"


@dataclass(frozen=True)
class Outcome:
    """What came of it: the Dice, or the reason why there is none."""

    dice: float | None
    curve: tuple[float, ...]
    reason: str | None = None


def read_outcome(repeat: Repeat, directory: Path) -> Outcome | None:
    """What an earlier run left; None where it did not end. Raises UserError for a damaged file."""
    file = repeat.file(directory)
    try:
        record = json.loads(file.read_bytes())
        return Outcome(record["dice"], tuple(record["curve"]), record["reason"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{file} is damaged ({error}); delete it, to train that again") from error


def train_repeat(repeat: Repeat, volumes: Path, config: RunConfig, directory: Path) -> Outcome:
    """Train it as the search did, but for the seed, on the search's cases, and keep the outcome.

    `volumes`: the folder of the prepared volumes. Interrupted, it goes on from its last epoch.
    """
    torch.set_num_threads(config.resources.cpus)
    file = repeat.file(directory)
    cache = VolumeCache.open(volumes)
    cases = split_cases(cache.names, directory / "split.json")
    evaluator = TrainFromScratch(config.train, repeat.seed, config.resources.device)
    evaluator.prepare(Workspace(directory, cache, cases, no_pause))
    architecture = config.space.space().from_json(dict(repeat.architecture))
    evaluation = evaluator.start(architecture, file.with_suffix(".pt"))
    while not (report := evaluation.advance()).done:
        pass
    outcome = Outcome(None if report.reason else report.dice, report.curve, report.reason)
    file.parent.mkdir(exist_ok=True)
    replace_files({file: json.dumps({**vars(repeat), **asdict(outcome)}, indent=1).encode()})
    file.with_suffix(".pt").unlink(missing_ok=True)
    return outcome
