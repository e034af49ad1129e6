"""Do averaged weights and deep supervision tell good networks from bad ones in a short training?

    python benchmarks/ranking.py runs/DATA --to ranking.jsonl       # 12 networks, 60 trainings
    python benchmarks/ranking.py runs/DATA --to ranking.jsonl --networks 20 --draw ladder

runs/DATA is the folder of a search, or one in which `segnas search` has planned and prepared data;
a folder of data is planned first. Networks of its space that keep its budget, drawn by `--seed` or
the rungs of its ladder, are trained once for long (four times the epochs, as a retraining is, by
the plain recipe) and once by each of the recipes `plain`, `ema`, `deep` and `both` for as long as
the search trains, with another seed. All are validated after their last step alone.

Printed for each recipe: Spearman's and Kendall's correlation of the brief Dice with the long one,
the mean brief Dice and the mean seconds. A network without decoder stages is trained without deep
supervision, as in a search; one that diverged has Dice 0.

Every training that has ended is a line of `--to`: key, recipe, epochs, seed, Dice, seconds,
parameters, architecture. What is there is not trained again: the same command goes on, and
`--networks` may be raised. A line counts only for the same epochs and seeds.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from json_lines import append, read
from last_dice import last_dice
from plain_script import read_settings
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau, spearmanr

from nas.cli.main import one_line_errors
from nas.config.data_space import DataSpace, space_for
from nas.search.components import training_costs
from nas.study.samplers.ladder import ladder
from nas.study.training_cost import TrainingCosts
from search_spaces.fitting import takes
from search_spaces.space import Architecture, RandomTrial, sample
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.errors import TrainingDivergedError

LONG = "long"
DECAY = 0.99  # of the average: a brief training has hundreds of steps
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "plain": {"ema": 0.0, "deep_supervision": False},
    "ema": {"ema": DECAY, "deep_supervision": False},
    "deep": {"ema": 0.0, "deep_supervision": True},
    "both": {"ema": DECAY, "deep_supervision": True},
}


class Training(NamedTuple):
    """One of the trainings: of which network, by which recipe, for how long, with which seed."""

    key: str
    recipe: str
    epochs: int
    seed: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, and print the table."""
    options = _options(arguments)
    config, directory = read_settings(options.data)
    cache, cases = prepare_data(config.data, directory)
    patch, classes = config.train.patch, len(cache.classes)
    within = space_for(config.space, cache.prepared_voxel_size, patch, classes)
    count = training_costs(config, cache)
    points = draw_networks(within, count, options.networks, options.draw, options.seed)
    brief = options.epochs or config.train.epochs
    long = Training("", LONG, options.long or 4 * brief, options.seed)
    planned = [long, *(Training("", recipe, brief, options.seed + 1) for recipe in RECIPES)]
    wanted = {t._replace(key=point.key): point for point in points for t in planned}
    done = read_lines(options.to)
    options.to.touch()  # a place where nothing can be written is told before the first training
    context = get_context("spawn")
    with ProcessPoolExecutor(options.jobs, context, torch.set_num_threads, (1,)) as pool:
        running = {
            pool.submit(train, point, training, cache, cases, config.train): training
            for training, point in wanted.items()
            if training not in done
        }
        for future in as_completed(running):
            training = running[future]
            point, (dice, seconds) = wanted[training], future.result()
            row = {**training._asdict(), "dice": dice, "seconds": seconds}
            row |= {"params": count.work(point)["params"], "architecture": point.to_json()}
            append(options.to, row)
            done[training] = row
            print(f"{training.key} {training.recipe}: Dice {dice:.4f}, {seconds:.0f} s", flush=True)
    Console().print(table(points, planned, done))


def draw_networks(
    within: DataSpace, count: TrainingCosts, networks: int, draw: str, seed: int
) -> list[Architecture]:
    """So many different networks that the patch takes and the budget lets through."""
    if draw == "ladder":
        return ladder(within, count, networks)
    found: dict[str, Architecture] = {}
    trial = 0
    while len(found) < networks:
        point = sample(within.space.kind, RandomTrial(seed + 10_000 * trial), within.restrict)
        point, trial = point.with_axes(within.space.axes), trial + 1
        if takes(point, count.train.patch) and not count.budget.excess(count.limited(point)):
            found.setdefault(point.key, point)
    return list(found.values())


def train(
    point: Architecture, training: Training, cache: VolumeCache, cases: Cases, recipe: TrainConfig
) -> tuple[float, float]:
    """The Dice after the last step, and the seconds that it took."""
    changes = {"epochs": training.epochs, **RECIPES.get(training.recipe, RECIPES["plain"])}
    started = perf_counter()
    try:
        dice = last_dice(point, training.seed, cache, cases, recipe.model_copy(update=changes))
    except TrainingDivergedError:
        dice = 0.0
    return dice, perf_counter() - started


def read_lines(file: Path) -> dict[Training, Mapping[str, Any]]:
    """The trainings that are there."""
    return {Training(*(row[name] for name in Training._fields)): row for row in read(file)}


def table(
    points: Sequence[Architecture],
    planned: Sequence[Training],
    done: Mapping[Training, Mapping[str, Any]],
) -> Table:
    """A row for each recipe."""
    long, *brief = (
        [done[training._replace(key=point.key)] for point in points] for training in planned
    )
    title = f"{len(points)} networks; long: mean Dice {_mean(long, 'dice'):.4f}"
    shown = Table(title=f"{title}, {_mean(long, 'seconds'):.0f} s")
    for column in ("recipe", "Spearman", "Kendall", "mean Dice", "seconds"):
        shown.add_column(column, justify="left" if column == "recipe" else "right")
    for training, rows in zip(planned[1:], brief, strict=True):
        pairs = [row["dice"] for row in rows], [row["dice"] for row in long]
        ranked = (f"{float(rank(*pairs)[0]):.3f}" for rank in (spearmanr, kendalltau))
        means = f"{_mean(rows, 'dice'):.4f}", f"{_mean(rows, 'seconds'):.0f}"
        shown.add_row(training.recipe, *ranked, *means)
    return shown


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return statistics.mean(row[name] for row in rows)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="the folder of a search, or of data")
    parser.add_argument("--to", type=Path, required=True, help="JSON lines; what is there counts")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--draw", choices=("random", "ladder"), default="random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw and the long trainings")
    parser.add_argument("--epochs", type=int, help="brief (default: the search's)")
    parser.add_argument("--long", type=int, metavar="EPOCHS", help="long (default: four times)")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
