"""The front of a search beside plain networks: MONAI's U-Net and SegResNet, nnU-Net's U-Net.

    segnas search DATA && python benchmarks/beside_baselines.py runs/DATA
    python benchmarks/beside_baselines.py runs/DATA --presets unet-s --learning-rates 2e-3 8e-3

Every baseline is trained as the search trained its candidates: the same prepared cases and split,
the same loop, recipe, steps and seed, and the axes of the data; at the search's learning rate
unless told others. The Dice is that of the validation
cases after the last step, which is what the search reports of its members. As many train side by
side as the search had slots.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from last_dice import last_dice
from rich.console import Console
from rich.table import Table

from nas.config.data_space import space_for
from nas.config.run_config import SpaceConfig
from nas.cost.count import cost_of
from nas.engine.slots import count_slots
from nas.report.read_search import read_search
from search_spaces.fitting import takes
from search_spaces.registry import find_preset
from search_spaces.space import Architecture
from trainers.data.prepare import prepare_data
from trainers.data.task import Task

PRESETS = ("unet-s", "unet", "segresnet-s", "nnunet-s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = _options(arguments)
    config, record = read_search(options.search)
    task = Task.read(options.search)
    patch, console = config.train.patch, Console(width=100)
    axes = space_for(
        SpaceConfig(axes=config.space.axes), task.spacing or task.voxel_size, patch
    ).space.axes
    cache, cases = prepare_data(config.data, options.search.resolve())
    table = Table(
        title=f"{config.name}: {config.train.epochs * config.train.steps_per_epoch} steps"
    )
    for column in ("network", "strides", "parameters", "GMACs", "rate", "Dice"):
        table.add_column(column, justify="left" if column in ("network", "strides") else "right")

    def add(name: str, point: Architecture, rate: float, dice: Sequence[float]) -> None:
        cost = cost_of(point, task.channels, len(task.classes), patch)
        strides = " x ".join(map(str, point.strides()))
        told = ", ".join(f"{one:.4f}" for one in dice)
        macs = f"{cost.macs / 1e9:.3f}"
        table.add_row(name, strides, f"{cost.params:,}", macs, f"{rate:g}", told)

    for member in record.members:
        assert member.dice is not None
        add(f"front: {member.key}", member.network(), config.train.learning_rate, [member.dice])
    networks = {name: find_preset(name).with_axes(axes).canonical() for name in options.presets}
    fitting = {name: point for name, point in networks.items() if takes(point, patch)}
    recipes = [
        config.train.model_copy(update={"learning_rate": rate})
        for rate in options.learning_rates or [config.train.learning_rate]
    ]
    context, jobs = get_context("spawn"), count_slots(config.resources)
    with ProcessPoolExecutor(jobs, context, torch.set_num_threads, (1,)) as pool:
        futures = {
            (name, train.learning_rate): [
                pool.submit(last_dice, point, config.seed + seed, cache, cases, train)
                for seed in range(options.seeds)
            ]
            for name, point in fitting.items()
            for train in recipes
        }
        for (name, rate), runs in futures.items():
            add(name, fitting[name], rate, [run.result() for run in runs])
    console.print(table)
    for name in networks.keys() - fitting.keys():
        console.print(f"{name} does not take a patch of {list(patch)}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("search", type=Path, help="the folder of a search that has ended")
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--learning-rates", type=float, nargs="+", metavar="RATE")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
