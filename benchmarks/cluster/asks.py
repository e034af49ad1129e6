"""What asks and tells cost a driver of so many results, in a process of its own."""

from __future__ import annotations

import multiprocessing
import random
import resource
import statistics
from dataclasses import dataclass
from pathlib import Path

from driver import timed

from nas.config.data_space import space_for
from nas.config.run_config import RunConfig
from nas.pareto.result import Result
from nas.search.components import study_settings
from nas.study.candidate import Candidate
from nas.study.search_folder import JOURNAL
from nas.study.study import Study
from nas.study.training_cost import TrainingCosts


@dataclass(frozen=True)
class Load:
    """Process seconds, medians but for `opening`, the `first` ask and the `slowest` other one;
    `memory_bytes`: the most that the process ever had."""

    opening: float
    first: float
    ask: float
    slowest: float
    tell: float
    journal_bytes: int
    memory_bytes: int


def measure(journal: Path, rounds: int) -> Load:
    """Of a copy of the search in the folder `journal`."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (journal, rounds))


def _measure(journal: Path, rounds: int) -> Load:
    size, run = (journal / JOURNAL).stat().st_size, run_config()
    opening, asks, tells = timed(journal, rounds, lambda at: open_study(at, run), played)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    ask, tell = statistics.median(asks[1:]), statistics.median(tells)
    return Load(opening, asks[0], ask, max(asks[1:]), tell, size, memory)


def run_config(sampler: str = "", trials: int = 1) -> RunConfig:
    """A search of the whole space as it is by default, but for early stopping; with the `sampler`
    where one is named."""
    return RunConfig.model_validate(
        {
            "name": "size",
            "data": {"source": "phantom"},
            "train": {"patch": [32, 32, 32], "epochs": 16},
            "objectives": ["dice", "params"],
            "search": {"trials": trials, "budget": "trials", "confirm": 0, "baselines": []}
            | {"early_stopping": None}
            | ({"sampler": sampler} if sampler else {}),
            "tracking": {"enabled": False},
        }
    )


def open_study(folder: Path, run: RunConfig) -> Study:
    """With the costs that a search of one channel and four classes counts."""
    costs = TrainingCosts(run.train, run.resources, run.budget, 1, 4)
    within = space_for(run.space, None, run.train.patch)
    return Study.open(folder, study_settings(run, within), costs)


def played(candidate: Candidate, rng: random.Random) -> Result:
    """A training that went as it may."""
    dice = min(0.95, candidate.costs["params"] ** 0.05 / 2 + rng.uniform(-0.05, 0.05))
    return candidate.result(state="complete", dice=dice, epochs=16, curve=(dice,) * 16)
