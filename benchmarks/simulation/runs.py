"""Replays on all cores; what was replayed before is taken from a file."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import optuna

from .replay import Completion, replay
from .setups import Setup
from .table import Table

Histories = Mapping[str, Sequence[Sequence[Completion]]]
"""By set-up: the complete trainings of seed 0, 1, ..."""

HERE, NAS = Path(__file__).parent, Path(__file__).parents[2] / "nas"


@dataclass(frozen=True)
class Contest:
    """What all set-ups have in common: the table, what counts, and how long they may train."""

    table: Table
    objectives: tuple[str, ...]
    budget: int
    seeds: int

    def run(self, setups: Mapping[str, Setup], jobs: int, cache: Path) -> Histories:
        """Replay every set-up with every seed, `jobs` at a time."""
        known: dict[str, list[Completion]] = {}
        if cache.exists():
            known = json.loads(cache.read_text())
        seeds = range(self.seeds)
        names = {  # of now: the sources may be edited while it runs
            label: [self._name(setup, seed) for seed in seeds] for label, setup in setups.items()
        }
        work = {
            name: (setups[label], seed)
            for label, own in names.items()
            for seed, name in zip(seeds, own, strict=True)
        }
        with ProcessPoolExecutor(jobs) as pool:
            replays = {
                pool.submit(self._replay, *work[name]): name for name in work if name not in known
            }
            for done in as_completed(replays):
                known[replays[done]] = done.result()
        cache.write_text(json.dumps(known))
        return {label: [known[name] for name in own] for label, own in names.items()}

    def _replay(self, setup: Setup, seed: int) -> list[Completion]:
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        policy = setup.policy(self.table, self.objectives, seed, self.budget)
        return replay(policy, self.table.networks, seed, self.budget)

    def _name(self, setup: Setup, seed: int) -> str:
        """Another one wherever the replay may differ."""
        said = repr((setup, seed, self.budget, self.objectives, self.table, _sources()))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def _sources() -> list[str]:
    """The code that decides what a replay does."""
    files = [NAS / "search" / "asha.py", *sorted((NAS / "pareto").glob("*.py"))]
    files += sorted((NAS / "study").rglob("*.py"))
    files += [HERE / f"{name}.py" for name in ("replay", "stock", "ours", "peers", "choices")]
    return [file.read_text() for file in files]
