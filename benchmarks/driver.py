"""What does a proposal cost the driver of a search once 10,000 trials are in its journal?

    python benchmarks/driver.py
    python benchmarks/driver.py --trials 1000 3000 --samplers tpe

Journals of that many trials are written as a search writes them: `Study` proposes from
the `hybrid` space (by NSGA-II, so that there are generations to read) and is told a Dice,
parameters and a latency that are made up from the knobs; some are over the budget, a fifth is
stopped early.
Then, in a copy of each, a sampler opens the study, asks and tells; stock TPE of Optuna does the
same without our study. Process seconds on one core, medians of the rounds; the first ask after an
opening reads what later ones remember, and stands apart. `growth`: against the fewest trials. Takes
some ten minutes of one core, most of them for writing.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import optuna
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from rich.console import Console
from rich.table import Table

from nas.config.data_space import space_for
from nas.config.run_config import RunConfig
from nas.pareto.result import Result
from nas.search.components import study_settings
from nas.study.candidate import Candidate
from nas.study.journal import Journal
from nas.study.search_folder import JOURNAL
from nas.study.study import Study
from nas.study.study_settings import StudySettings
from search_spaces.registry import find_space
from search_spaces.space import Architecture

BAR = 0.5  # seconds, of an ask and of a tell
SPACE = find_space("hybrid")
STOCK = "stock TPE"


@dataclass(frozen=True)
class Seconds:
    """Process seconds of one sampler: medians, but for `opening` and the `first` ask."""

    opening: float
    first: float
    ask: float
    tell: float


def main() -> None:
    arguments = parse()
    console = Console()
    with TemporaryDirectory() as folder:
        journals = write(Path(folder), sorted(arguments.trials))
        seconds = {
            (sampler, trials): time_of(sampler, journal, arguments.rounds)
            for trials, journal in journals.items()
            for sampler in arguments.samplers
        }
        seconds |= {
            (STOCK, trials): time_of_stock(journal, arguments.rounds)
            for trials, journal in journals.items()
        }
    console.print(table(seconds, sorted(arguments.trials)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--samplers", nargs="+", default=["ehvi", "tpe", "nsga2", "random"])
    parser.add_argument("--rounds", type=int, default=15)
    return parser.parse_args()


def settings(run: RunConfig) -> StudySettings:
    """What the study needs of it, for voxels that are alike along all axes."""
    return study_settings(run, space_for(run.space, None, run.train.patch))


def config(sampler: str) -> RunConfig:
    """A run of the whole space."""
    return RunConfig.model_validate(
        {
            "name": "driver",
            "data": {"source": "phantom"},
            "train": {"patch": [32, 32, 32], "epochs": 16},
            "objectives": ["dice", "params", "latency_ms"],
            "budget": {"params": 200_000},
            "search": {"sampler": sampler},
        }
    )


def costs(architecture: Architecture) -> dict[str, float]:
    """Made up, from as many knobs as there are."""
    record = architecture.to_json()
    depth = sum(stage["layers_count"] for stage in record["tokens"])
    width = record["width"] * record["growth"] ** record["levels"]
    return {"params": int(300 * width * record["convs"] * (1 + depth)), "macs": 1e6 * width}


def ended(candidate: Candidate, rng: random.Random) -> Result:
    """A training that went as it may."""
    latency = candidate.costs["macs"] ** 0.5 * rng.uniform(0.5, 1)
    dice = candidate.costs["params"] ** 0.05 / 2 + rng.uniform(-0.05, 0.05)
    if rng.random() < 0.2:
        reason = "stopped after 4 of 16 epochs"
        stopped = candidate.result(state="stopped", reason=reason, epochs=4, curve=(dice,) * 4)
        return replace(stopped, costs={**candidate.costs, "latency_ms": latency})
    complete = candidate.result(state="complete", dice=dice, epochs=16, curve=(dice,) * 16)
    return replace(complete, costs={**candidate.costs, "latency_ms": latency})


def write(folder: Path, sizes: Sequence[int], run: RunConfig | None = None) -> dict[int, Path]:
    """Folders of one search, that of `run`, as it stood after each number of trials. Goes on with
    what an earlier call has written into `folder`."""
    grown = folder / "grown"
    grown.mkdir(exist_ok=True)
    study, rng = Study.open(grown, settings(run or config("nsga2")), costs), random.Random(0)
    journals = {}
    for size in sizes:
        while len(study.results) < size:
            if candidate := study.ask():
                study.tell(ended(candidate, rng))
        journals[size] = folder / str(size)
        if not journals[size].exists():
            shutil.copytree(grown, journals[size])
    return journals


def time_of(sampler: str, journal: Path, rounds: int) -> Seconds:
    """A search that goes on with this sampler."""
    own = settings(config(sampler))
    opening, asks, tells = timed(journal, rounds, lambda at: Study.open(at, own, costs), ended)
    return Seconds(opening, asks[0], statistics.median(asks[1:]), statistics.median(tells))


def timed(
    journal: Path,
    rounds: int,
    opened: Callable[[Path], Study],
    trained: Callable[[Candidate, random.Random], Result],
) -> tuple[float, list[float], list[float]]:
    """Process seconds of opening a copy of the search in the folder `journal`, of each ask and of
    each tell."""
    rng, asks, tells = random.Random(1), [], []
    with TemporaryDirectory() as copy:
        folder = Path(shutil.copytree(journal, Path(copy) / "search"))
        started = process_time()
        study = opened(folder)
        opening = process_time() - started
        while len(tells) <= rounds:
            started = process_time()
            candidate = study.ask()
            asks.append(process_time() - started)
            if candidate:
                result = trained(candidate, rng)
                started = process_time()
                study.tell(result)
                tells.append(process_time() - started)
    return opening, asks, tells


def time_of_stock(journal: Path, rounds: int) -> Seconds:
    """The same journal without our study or sampler: TPE with the settings of our `tpe`."""
    asks, tells = [], []
    with TemporaryDirectory() as copy:
        folder = Path(shutil.copytree(journal, Path(copy) / "search"))
        started = process_time()
        sampler = TPESampler(multivariate=True, group=True, constant_liar=True, seed=0)
        storage = JournalStorage(Journal(folder / JOURNAL))
        study = optuna.load_study(study_name="search", storage=storage, sampler=sampler)
        opening = process_time() - started
        for _ in range(rounds):
            started = process_time()
            trial = study.ask()
            SPACE.sample(trial)
            asks.append(process_time() - started)
            started = process_time()
            study.tell(trial, [0.5, 1e5, 1e3])
            tells.append(process_time() - started)
    return Seconds(opening, asks[0], statistics.median(asks[1:]), statistics.median(tells))


def table(seconds: dict[tuple[str, int], Seconds], sizes: Sequence[int]) -> Table:
    """A row a sampler and number of trials."""
    made = Table(title=f"process seconds; an ask and a tell are meant to take under {BAR} each")
    names = ("sampler", "trials", "opening", "first ask", "ask", "tell", "growth", "of stock")
    for name in names:
        made.add_column(name, justify="left" if name == "sampler" else "right", no_wrap=True)
    for (sampler, trials), spent in sorted(seconds.items()):
        fewest, stock = seconds[sampler, sizes[0]].ask, seconds[STOCK, trials].ask
        made.add_row(
            sampler,
            f"{trials:,}",
            *(f"{value:.4f}" for value in (spent.opening, spent.first, spent.ask, spent.tell)),
            f"{spent.ask / fewest:.1f}",
            f"{spent.ask / stock:.3f}",
        )
    return made


if __name__ == "__main__":
    main()
