"""What strides and kernels by axis are worth, and plain networks beside them.

    python benchmarks/by_axis.py ACDC --groups 'acdc_(\\d+)' --patch 128 128 8 --steps 600 --seeds 3
    python benchmarks/by_axis.py FOLDER --patch 32 32 8 --steps 10 --seeds 1   # says nothing

Every preset is trained twice on the same split, by patient, with the same seeds and steps: with
strides and kernels that follow from the data's spacing, and with those that treat all axes alike.
A preset that does not take the patch with equal strides has no second row. The Dice is the mean of
the validation cases after the last step; nothing is picked.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from last_dice import last_dice
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors
from nas.cost.count import cost_of
from search_spaces.axes import ALIKE, axes_for
from search_spaces.fitting import takes
from search_spaces.registry import find_preset
from trainers.config import TrainConfig
from trainers.data.config import Groups, Preprocess, Split
from trainers.data.msd import MsdData
from trainers.data.prepare import prepare_data


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = _options(arguments)
    table = Table(title=f"{options.folder.name}, {options.steps} steps, {options.seeds} seeds")
    for column in ("network", "strides", "parameters", "GMACs", "Dice", "range"):
        table.add_column(column, justify="left" if column in ("network", "strides") else "right")
    train = TrainConfig(
        patch=options.patch,
        epochs=1,
        steps_per_epoch=options.steps,
        learning_rate=options.learning_rate,
    )
    with tempfile.TemporaryDirectory() as folder:
        data = MsdData(
            path=options.folder,
            preprocess=Preprocess(
                spacing=options.spacing if len(options.spacing) == 3 else options.spacing[0],
                intensity=options.intensity,
            ),
            split=Split(groups=Groups(pattern=options.groups)),
            cache=Path(folder) / "cache",
        )
        cache, cases = prepare_data(data, Path(folder))
        axes = axes_for(cache.prepared_voxel_size, train.patch)
        rows = [
            (name, point)
            for name in options.presets
            for point in dict.fromkeys(
                find_preset(name).with_axes(each).canonical() for each in (axes, ALIKE)
            )
            if takes(point, train.patch)
        ]
        context = get_context("spawn")
        with ProcessPoolExecutor(options.jobs, context, torch.set_num_threads, (1,)) as pool:
            runs = [
                [
                    pool.submit(last_dice, point, seed, cache, cases, train)
                    for seed in range(options.seeds)
                ]
                for _, point in rows
            ]
            for (name, point), futures in zip(rows, runs, strict=True):
                dice = [future.result() for future in futures]
                cost = cost_of(point, cache.channels, len(cache.classes), train.patch)
                table.add_row(
                    name,
                    " x ".join(map(str, point.strides())),
                    f"{cost.params:,}",
                    f"{cost.macs / 1e9:.3f}",
                    f"{statistics.mean(dice):.4f}",
                    f"{min(dice):.4f}-{max(dice):.4f}",
                )
                Console(stderr=True).print(name, point.strides(), dice)
    Console(width=100).print(table)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="labelled volumes in the Decathlon's layout")
    parser.add_argument("--groups", default="(.*)", help="captures a patient in a case's name")
    parser.add_argument("--patch", type=int, nargs=3, default=(128, 128, 8))
    parser.add_argument("--spacing", type=_spacing, nargs="+", default=["native"])
    parser.add_argument("--intensity", default="robust")
    parser.add_argument("--presets", nargs="+", default=["hybrid-m", "nnunet-s"])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    return parser.parse_args(arguments)


def _spacing(text: str) -> str | float:
    return text if text in ("native", "median") else float(text)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
