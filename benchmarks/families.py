"""Does each family of networks learn? One preset of each, trained ten minutes on one core.

    python benchmarks/families.py --data Task04_Hippocampus --split configs/hippocampus_split.json

Every network gets the data and recipe of configs/hippocampus.yaml but for what RECIPES says, and
as many optimiser steps as fit into the minutes: a first few are timed to set the schedule's length.
The printed Dice is that of the validation cases after the last step; nothing is picked. CPU time is
the process' own, validation included.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time
from typing import Any

import torch
from json_lines import append
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.cost.count import cost_of
from search_spaces.registry import find_preset
from search_spaces.space import Architecture
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.trainer import Trainer

CONFIG = Path(__file__).parents[1] / "configs" / "hippocampus.yaml"
TIMED_STEPS = 20
RESERVE = 0.88  # share of the time that is planned for steps; the rest validates and absorbs noise


@dataclass(frozen=True)
class Recipe:
    """A preset to train, and the keys of `train` that differ for it."""

    preset: str
    train: Mapping[str, Any] = field(default_factory=dict)


LIGHTMEDSEG_LOSS = {"boundary": 0.5, "class_weights": "inverse"}
RECIPES = {
    "hybrid": Recipe("hybrid-m"),
    "hybrid, adaptive": Recipe("hybrid-adaptive"),
    "hybrid, routed": Recipe("hybrid-routed"),
    "slimformer": Recipe("slimformer3d-tiny"),
    "token_sparse": Recipe("stp-mta-unetr-tiny", {"learning_rate": 2e-3}),
    "apformer": Recipe("apformer-xs", {"learning_rate": 3e-3}),
    "apformer, 3D": Recipe("apformer-3d-xs", {"learning_rate": 3e-3}),
    "lightmedseg": Recipe("lightmedseg-small", {"loss": LIGHTMEDSEG_LOSS}),
    "lightmedseg, plain loss": Recipe("lightmedseg-small"),
    "deploylite": Recipe("deploylite-xs"),
    "unet": Recipe("unet-s"),
    "segresnet": Recipe("segresnet-s", {"learning_rate": 3e-3}),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data set's folder")
    parser.add_argument("--split", type=Path, help="JSON split (default: the configuration's)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--to", type=Path, help="append one JSON line a network")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as workdir:
        task = open_task(options.data, options.split, Path(workdir))
        for name in options.only:
            architecture = find_preset(RECIPES[name].preset)
            base = TrainConfig(**{**task.train.model_dump(), **RECIPES[name].train})
            steps = int(60 * options.minutes * RESERVE / step_seconds(architecture, base, task))
            row = {"family": name, "preset": RECIPES[name].preset}
            rows.append({**row, **train(architecture, base, steps, task)})
            if options.to:
                append(options.to, rows[-1])
    Console().print(table(rows, ("family", "preset")))


@dataclass(frozen=True)
class Task:
    """Data and recipe of configs/hippocampus.yaml."""

    train: TrainConfig
    cache: VolumeCache
    cases: Cases


def open_task(data: Path, split: Path | None, workdir: Path) -> Task:
    """Prepare the data set at `data`; one thread from here on."""
    torch.set_num_threads(1)
    settings = [f"data.path={data}", *([f"data.split={split}"] if split else [])]
    config = read_config(RunConfig, CONFIG, settings)
    return Task(config.train, *prepare_data(config.data, workdir))


def train(
    architecture: Architecture, config: TrainConfig, steps: int, task: Task
) -> dict[str, Any]:
    """Train for so many steps, validate once, and say how it went."""
    started = process_time()
    trainer = trainer_of(architecture, config, 1, steps, task)
    report = trainer.run_epoch()
    cost = cost_of(architecture, task.cache.channels, len(task.cache.classes), config.patch)
    return {
        "params": cost.params,
        "macs": cost.macs,
        "steps": steps,
        "cpu_minutes": (process_time() - started) / 60,
        "dice": report.dice,
        "dice_per_class": dict(report.dice_per_class),
        "measured": dict(report.measured),
    }


def step_seconds(architecture: Architecture, config: TrainConfig, task: Task) -> float:
    """CPU seconds of a training step, once it is warm."""
    unvalidated = replace(task, cases=replace(task.cases, validation=()))
    trainer = trainer_of(architecture, config, 2, TIMED_STEPS, unvalidated)
    trainer.run_epoch()
    started = process_time()
    trainer.run_epoch()
    return (process_time() - started) / TIMED_STEPS


def trainer_of(
    architecture: Architecture, config: TrainConfig, epochs: int, steps: int, task: Task
) -> Trainer:
    torch.manual_seed(0)
    cache, cases = task.cache, task.cases
    network = architecture.build(cache.channels, len(cache.classes))
    schedule = {"epochs": epochs, "steps_per_epoch": steps, "validate_every": epochs}
    config = config.model_copy(update=schedule)
    return Trainer(network, cache, cases, config, device=torch.device("cpu"), seed=0)


def table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table:
    made = Table(title="Validation Dice after training on one core")
    for column in (*names, "parameters", "MMACs", "steps", "CPU min", "Dice"):
        made.add_column(column, justify="left" if column in names else "right")
    for row in rows:
        made.add_row(
            *(row[name] for name in names),
            f"{row['params']:,}",
            f"{row['macs'] / 1e6:,.0f}",
            f"{row['steps']:,}",
            f"{row['cpu_minutes']:.1f}",
            f"{row['dice']:.4f}",
        )
    return made


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
