"""What a person would write in half an hour: TPE over MONAI's UNet, by Dice and parameters.

    python benchmarks/plain_script.py runs/DATA --minutes 30 --seed 0 --to runs/script-0
    python benchmarks/dice_within_params.py runs/DATA runs/script-0

runs/DATA is the folder of a search; a folder of data is planned in runs/NAME, as `segnas search`
does. The script has that search's prepared cases, split, patch, batch, steps, recipe and training
loop (Dice and cross-entropy, AdamW, random patches, sliding windows, as MONAI has them), so that
the two differ in which networks they train, and the script draws the learning rate as well. Strides
follow the axes of the data. Neither the budget nor the space of the search counts.

The minutes begin once the cases are prepared. No training begins after them, and those under way
are finished, as with the `timeout` of Optuna. Each that has ended is a line of trainings.jsonl in
the folder: parameters, MACs of a patch, Dice of the validation cases after the last step, what was
drawn, and seconds: those that it took, and those after which it was started.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import ClassVar

import optuna
import torch
from dice_within_params import TRAININGS
from last_dice import last_dice
from monai.networks.nets import UNet

from nas.cli.main import one_line_errors
from nas.cli.planning import PLAN, planned_file, search_name
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.cost.count import cost_of
from search_spaces.axes import Axes, Sizes, axes_for
from search_spaces.fitting import takes
from search_spaces.space import AxialArchitecture
from search_spaces.widths import level_channels
from trainers.atomic import output_folder
from trainers.data.prepare import prepare_data
from trainers.errors import TrainingDivergedError, UserError
from trainers.processes import end_with_parent

LEVELS = 3, 4, 5


@dataclass(frozen=True, kw_only=True)
class PlainUNet(AxialArchitecture):
    """MONAI's UNet; `channels` of every level, `kernel` of all convolutions."""

    space: ClassVar[str] = "plain-script"

    channels: tuple[int, ...]
    residual_units: int = 2
    norm: str = "instance"
    kernel: Sizes = (3, 3, 3)

    def stride(self) -> int:
        return 2 ** (len(self.channels) - 1)

    def build(self, in_channels: int, out_channels: int) -> UNet:
        return UNet(
            spatial_dims=3,
            in_channels=in_channels,
            out_channels=out_channels,
            channels=self.channels,
            strides=[self.axes.step(level) for level in range(self.steps)],
            kernel_size=self.kernel,
            up_kernel_size=self.kernel,
            num_res_units=self.residual_units,
            norm=self.norm,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train until the minutes are over."""
    options = _options(arguments)
    config, folder = read_settings(options.data)
    cache, cases = prepare_data(config.data, folder.resolve())
    axes = axes_for(cache.prepared_voxel_size, config.train.patch)
    began = perf_counter()
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=options.seed), directions=["maximize", "minimize"]
    )
    running: dict[Future[float], tuple] = {}
    context = get_context("spawn")
    with (
        (output_folder(options.to) / TRAININGS).open("x") as file,
        ProcessPoolExecutor(options.jobs, context, _begin_process) as pool,
    ):
        while True:
            while len(running) < options.jobs and perf_counter() - began < 60 * options.minutes:
                trial = study.ask()
                point = propose(trial, axes, config.train.patch)
                rate = trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True)
                train = config.train.model_copy(update={"learning_rate": rate})
                future = pool.submit(last_dice, point, options.seed, cache, cases, train)
                running[future] = trial, point, perf_counter() - began
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                trial, point, started = running.pop(future)
                dice, seconds = _dice(future), perf_counter() - began - started
                cost = cost_of(point, cache.channels, len(cache.classes), config.train.patch)
                study.tell(trial, (dice, cost.params))
                row = {"params": cost.params, "macs": cost.macs, "dice": dice}
                row |= {"seconds": seconds, "started": started, "drawn": trial.params}
                file.write(json.dumps(row) + "\n")
                file.flush()
                ended = f"{(started + seconds) / 60:.1f} min"
                print(f"{ended}: {cost.params:,} parameters, Dice {dice:.4f}", flush=True)


def read_settings(folder: Path) -> tuple[RunConfig, Path]:
    """The configuration of the search in `folder` or, where data lie there, of the one planned for
    them; and the search's folder."""
    if (folder / "config.yaml").is_file():
        return read_config(RunConfig, folder / "config.yaml", recorded=True), folder
    if (folder / PLAN).is_file():
        return read_config(RunConfig, folder / PLAN), folder
    directory = Path("runs") / search_name(folder)
    planned_file(folder, directory, None)
    return read_settings(directory)


def propose(trial: optuna.trial.BaseTrial, axes: Axes, patch: Sizes) -> PlainUNet:
    """A network for such a patch.

    `flat`, where voxels are long along an axis: no convolution reaches or halves along it.
    """
    kernel: Sizes = (3, 3, 3)
    if any(axes.starts) and trial.suggest_categorical("flat", [False, True]):
        stops = [0 if start else stop for start, stop in zip(axes.starts, axes.stops, strict=True)]
        axes, kernel = replace(axes, stops=tuple(stops)), axes.kernel(0)
    fitting = [n for n in LEVELS if takes(PlainUNet(channels=(1,) * n, axes=axes), patch)]
    if not fitting:
        raise UserError(
            f"train.patch = {list(patch)} cannot be halved {LEVELS[0] - 1} times, which a U-Net of "
            f"{LEVELS[0]} levels does; expected a patch that can"
        )
    width = trial.suggest_int("width", 4, 24, log=True)
    growth = trial.suggest_float("growth", 1.0, 2.0)
    levels = trial.suggest_int("levels", fitting[0], fitting[-1])
    return PlainUNet(
        channels=tuple(level_channels(width, growth, levels)),
        residual_units=trial.suggest_int("residual_units", 0, 2),
        norm=trial.suggest_categorical("norm", ["instance", "batch"]),
        kernel=kernel,
        axes=axes,
    )


def _dice(future: Future[float]) -> float:
    """That of a training which diverged is 0."""
    try:
        return future.result()
    except TrainingDivergedError:
        return 0.0


def _begin_process() -> None:
    torch.set_num_threads(1)
    end_with_parent()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="the folder of a search, or of data")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--to", type=Path, required=True, help="a folder without trainings yet")
    parser.add_argument("--seed", type=int, default=0, help="of the proposals and every training")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
