"""Which augmentation, and which share of foreground, trains a network best: a table for each set.

    mkdir -p runs/a && segnas init DATA --to runs/a/plan.yaml     # once a set
    python benchmarks/augmentations.py runs/a runs/b --seeds 3 --to augmentations.jsonl
    python benchmarks/augmentations.py runs/a --augment basic '{preset: nnunet, flips: []}' \\
        --foreground 0.33 0.5 0.67 --schedules search --to augmentations.jsonl

A preset of the `hybrid` space is trained on the training cases of each search folder, which has a
plan and gets its cache, by the schedule of the search (`train`) and by that of a retraining
(`retrain`), and scored once, at the end, on the cases that were put aside: those for the test, or
for validation where there are none. Dice is that of prepared voxels. Every training is a line in
the file `--to`; what is there already is not trained again, so that the same command goes on with
what was interrupted. A training takes as long as one of the search; a retraining, mostly, four
times as long.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import torch
from json_lines import append, read
from last_dice import last_dice
from prepared_search import network_on, read_plan
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors
from nas.config.run_config import RunConfig
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.segmenter import best_device


@dataclass(frozen=True)
class Training:
    """One line of the results, but for what it gave."""

    folder: str
    network: str
    schedule: str
    steps: int
    foreground: float
    augment: str
    seed: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, then print the tables."""
    options = _options(arguments)
    asked = [one for folder in options.folders for one in trainings(folder, options)]
    missing = [one for one in asked if one not in results(options.to)]
    for folder in sorted({one.folder for one in missing}):
        _prepared(Path(folder))
    context = get_context("spawn")
    with ProcessPoolExecutor(options.jobs, context, torch.set_num_threads, (1,)) as pool:
        running = {pool.submit(train, one, options.settings): one for one in missing}
        for future in as_completed(running):
            dice, seconds = future.result()
            line = {**asdict(running[future]), "dice": dice, "seconds": seconds}
            append(options.to, line)
            Console(stderr=True).print(line)
    found = results(options.to)
    for table in tables({one: found[one] for one in asked}):
        Console(width=120).print(table)


def trainings(folder: Path, options: argparse.Namespace) -> Iterator[Training]:
    """All that are asked for on one folder, first every one with the first seed."""
    for schedule, seed in product(options.schedules, range(options.seeds)):
        for share, augment in product(options.foreground, options.augment):
            one = Training(str(folder), options.network, schedule, 0, share, augment, seed)
            recipe = recipe_of(one, options.settings)
            yield replace(one, steps=recipe.epochs * recipe.steps_per_epoch)


def recipe_of(one: Training, settings: Sequence[str]) -> TrainConfig:
    """How it is trained."""
    own = [
        f"{part}.{key}={value}"
        for part in ("train", "retrain")
        for key, value in (("augment", one.augment), ("foreground", one.foreground))
    ]
    config = read_plan(Path(one.folder), [*settings, *own, "retrain.mirror=[]"])
    return config.train if one.schedule == "search" else config.retrain


def train(one: Training, settings: Sequence[str]) -> tuple[float, float]:
    """Dice on the cases that were put aside, and the seconds that it took."""
    started = perf_counter()
    config, cache, cases = _prepared(Path(one.folder))
    aside = replace(cases, validation=cases.test or cases.validation)
    network, recipe = network_on(one.network, config, cache), recipe_of(one, settings)
    dice = last_dice(network, one.seed, cache, aside, recipe, best_device())
    return dice, perf_counter() - started


def _prepared(folder: Path) -> tuple[RunConfig, VolumeCache, Cases]:
    config = read_plan(folder)
    return config, *prepare_data(config.data, folder)


def results(file: Path) -> dict[Training, float]:
    """Dice of every training in the file."""
    found = {}
    for line in read(file):
        dice, _ = line.pop("dice"), line.pop("seconds")
        found[Training(**line)] = dice
    return found


def tables(found: dict[Training, float]) -> Iterator[Table]:
    """One for each folder and schedule: a row for each share of foreground and augmentation."""
    seeds = sorted({one.seed for one in found})
    sets = dict.fromkeys((one.folder, one.network, one.schedule, one.steps) for one in found)
    for folder, network, schedule, steps in sets:
        title = f"{Path(folder).name}: {network}, {schedule}, {steps} steps, Dice"
        table = Table(title=title)
        table.add_column("augment")
        for column in ("foreground", "mean", *(f"seed {seed}" for seed in seeds)):
            table.add_column(column, justify="right")
        for share, augment in dict.fromkeys((one.foreground, one.augment) for one in found):
            here = partial(Training, folder, network, schedule, steps, share, augment)
            dice = [found[here(seed)] for seed in seeds]
            texts = [f"{value:.4f}" for value in (statistics.mean(dice), *dice)]
            table.add_row(augment, f"{share:g}", *texts)
        yield table


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of searches: with a plan or begun")
    parser.add_argument("--to", type=Path, required=True, help="JSON lines, one a training")
    parser.add_argument("--network", default="hybrid-m")
    parser.add_argument("--augment", nargs="+", default=["basic", "light", "nnunet"])
    parser.add_argument("--foreground", type=float, nargs="+", default=[0.5])
    parser.add_argument(
        "--schedules", nargs="+", default=["search", "retrain"], choices=["search", "retrain"]
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
