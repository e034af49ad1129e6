"""By which recipe do the networks of a search learn most in its short trainings?

    mkdir -p runs/a && segnas init DATA --to runs/a/plan.yaml     # once a set
    python benchmarks/recipes.py runs/a --to recipes.jsonl \\
        --recipes '' loss.dice_form=log 'loss.dice_form=log deep_supervision=true'

Networks of the space that keep the plan's budget (`--networks ladder:2 random:2`: a ladder of so
many rungs, and draws) are trained by the plan's recipe (`''`) and by others, each said as the keys
of `train` in which it differs, and scored once, at the end, on the cases that were put aside: those
for the test, or for validation where there are none. Every training is a line in the file `--to`;
what is there already is not trained again.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch
from json_lines import append, read
from last_dice import last_report
from prepared_search import read_plan
from ranking import draw_networks
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors
from nas.config.data_space import space_for
from nas.search.components import training_costs
from search_spaces.space import Architecture
from trainers.data.prepare import prepare_data
from trainers.errors import TrainingDivergedError


class Training(NamedTuple):
    """One line of the results, but for what it gave."""

    folder: str
    key: str
    recipe: str
    seed: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, then print the tables."""
    options = _options(arguments)
    for folder, recipe in product(options.folders, options.recipes):
        read_plan(folder, settings_of(recipe))  # what is wrong is told before anything is trained
    points = {str(folder): networks_of(folder, options.networks) for folder in options.folders}
    asked = [
        Training(folder, key, recipe, seed)
        for folder in points
        for seed, key, recipe in product(range(options.seeds), points[folder], options.recipes)
    ]
    done = results(options.to)
    missing = [one for one in asked if one not in done]
    context = get_context("spawn")
    with ProcessPoolExecutor(options.jobs, context, torch.set_num_threads, (1,)) as pool:
        running = {pool.submit(train, one, points[one.folder][one.key]): one for one in missing}
        for future in as_completed(running):
            line = {**running[future]._asdict(), **future.result()}
            append(options.to, line)
            Console(stderr=True).print(line)
    found = results(options.to)
    for folder in points:
        Console(width=120).print(table(folder, {one: found[one] for one in asked}))


def settings_of(recipe: str) -> list[str]:
    """The keys of `train` in which a recipe differs, as `--set` takes them."""
    return [f"train.{setting}" for setting in recipe.split()]


def networks_of(folder: Path, draws: Sequence[tuple[str, int]]) -> dict[str, Architecture]:
    """By their keys; prepares the data where they are not."""
    config = read_plan(folder)
    cache, _ = prepare_data(config.data, folder)
    patch, classes = config.train.patch, len(cache.classes)
    within = space_for(config.space, cache.prepared_voxel_size, patch, classes)
    count = training_costs(config, cache)
    found = [p for how, n in draws for p in draw_networks(within, count, n, how, 0)]
    return {point.key: point for point in found}


def train(one: Training, point: Architecture) -> dict[str, Any]:
    """Dice on the cases that were put aside, of each class too, and the seconds that it took."""
    started, folder = perf_counter(), Path(one.folder)
    config = read_plan(folder, settings_of(one.recipe))
    cache, cases = prepare_data(config.data, folder)
    aside = replace(cases, validation=cases.test or cases.validation)
    try:
        report = last_report(point, one.seed, cache, aside, config.train)
        dice, per_class = report.dice, dict(report.dice_per_class)
    except TrainingDivergedError:
        dice, per_class = 0.0, {}
    seconds, params = perf_counter() - started, training_costs(config, cache).work(point)["params"]
    return {"dice": dice, "per_class": per_class, "seconds": seconds, "params": params}


def results(file: Path) -> dict[Training, dict[str, Any]]:
    """What every training in the file gave."""
    return {Training(*(row.pop(name) for name in Training._fields)): row for row in read(file)}


def table(folder: str, found: dict[Training, dict[str, Any]]) -> Table:
    """A row for each network, the mean Dice of its seeds by each recipe; and the mean of all."""
    here = {one: row for one, row in found.items() if one.folder == folder}
    recipes = list(dict.fromkeys(one.recipe for one in here))
    shown = Table("network", title=Path(folder).name)
    for column in ("parameters", *(recipe or "as planned" for recipe in recipes)):
        shown.add_column(column, justify="right")

    def mean(recipe: str, keys: Sequence[str]) -> str:
        rows = [row for one, row in here.items() if (one.recipe, one.key in keys) == (recipe, True)]
        return f"{statistics.mean(row['dice'] for row in rows):.4f}"

    params = {one.key: row["params"] for one, row in here.items()}
    for key, size in params.items():
        shown.add_row(key, f"{size:,.0f}", *(mean(recipe, [key]) for recipe in recipes))
    shown.add_row("mean", "", *(mean(recipe, list(params)) for recipe in recipes))
    return shown


def _draw(text: str) -> tuple[str, int]:
    how, _, number = text.partition(":")
    if how not in ("ladder", "random") or not number.isdecimal() or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r}; expected ladder:N or random:N, N above 0")
    return how, int(number)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of searches: with a plan or begun")
    parser.add_argument("--to", type=Path, required=True, help="JSON lines, one a training")
    parser.add_argument("--recipes", nargs="+", required=True, metavar="SETTINGS")
    draws = [("ladder", 2), ("random", 2)]
    parser.add_argument("--networks", type=_draw, nargs="+", default=draws, metavar="HOW:N")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
