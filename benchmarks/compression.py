"""What is left of a network's Dice once half of it is pruned, and what that saves?

    python benchmarks/compression.py --data Task04_Hippocampus --split configs/hippocampus_split.json --to runs/compression

Trains each preset with each seed for `--steps` steps of the recipe of configs/hippocampus.yaml,
then compresses it in each way of `WAYS` with 300 steps of fine-tuning. A network that is there from
an earlier call is not trained again. Printed are Dice on the validation cases, parameters, MACs
(counted by thop's rules and by torch's formulas, which have to agree), and the median latency of
one patch on one thread, original and compressed timed in turns.
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
import shutil
import warnings
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config, write_config
from nas.export.compress.compress import compress
from nas.export.compress.plan import Compression
from nas.export.export_folder import COMPRESSION, CONFIG, SPLIT, Export, ExportConfig
from nas.export.retrain import Plan, retrain
from search_spaces.registry import ARCHITECTURE, architecture_record, find_preset
from trainers.config import RetrainConfig
from trainers.data.prepare import prepare_data
from trainers.data.task import Task
from trainers.trainer import EpochReport

SOURCE = Path(__file__).parents[1] / "configs" / "hippocampus.yaml"
PRESETS = ("deploylite-xs", "hybrid-tokens")
WAYS = {
    "heads, neurons": Compression(method="prune", of=("heads", "neurons")),
    "heads, neurons, channels": Compression(method="prune", of=("heads", "neurons", "channels")),
    "linear maps": Compression(method="low-rank"),
}


def main() -> None:
    """Train, compress, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    warnings.simplefilter("error", UserWarning)  # the two counts of MACs differ
    torch.set_num_threads(1)
    table = Table("preset", "what", "seed", "Dice", "at once", "after", "parameters", "MMACs", "ms")
    for preset in options.presets:
        for seed in options.seeds:
            export = _original(options, preset, seed)
            for way in options.ways:
                table.add_row(preset, way, str(seed), *_compressed(export, way))
                Console(width=140).print(table)


def _original(options: argparse.Namespace, preset: str, seed: int) -> Export:
    """The trained export of a preset."""
    folder = options.to / f"{preset}-{seed}"
    if not (folder / "retrained.pt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(options.split, folder / SPLIT)
        settings = [f"data.path={options.data}", f"data.split={folder / SPLIT}"]
        run = read_config(RunConfig, SOURCE, settings)
        cache, _ = prepare_data(run.data, options.to)
        data = run.data.portable().model_copy(
            update={"split": Path(SPLIT), "cache": run.data.cache_folder(options.to).resolve()}
        )
        epochs = options.steps // 100
        train = RetrainConfig.model_validate(
            {
                **run.train.model_dump(mode="json"),
                "epochs": epochs,
                "steps_per_epoch": 100,
                "validate_every": epochs,
            }
        )
        config = ExportConfig(
            name=preset, seed=seed, task=Task.of(cache, train), data=data, train=train
        )
        write_config(config, folder / CONFIG)
        record = architecture_record(find_preset(preset))
        (folder / ARCHITECTURE).write_text(json.dumps(record))
        retrain(Export(folder), Plan(), _silent)
    return Export(folder)


def _compressed(export: Export, way: str) -> list[str]:
    """Cells of the row."""
    to = export.folder.with_name(f"{export.folder.name}-{way.replace(', ', '-').replace(' ', '-')}")
    if not (to / COMPRESSION).exists():
        compress(export, WAYS[way], to, _silent)
    rows = json.loads((to / COMPRESSION).read_text())["figures"]
    before, after = rows["original"], rows["compressed"]
    return [
        f"{before['dice']:.4f}",
        f"{rows['before fine-tuning']['dice']:.4f}",
        f"{after['dice']:.4f}",
        f"{before['params']:,} -> {after['params']:,}",
        f"{before['macs'] / 1e6:.1f} -> {after['macs'] / 1e6:.1f}",
        f"{before['latency_ms']:.2f} -> {after['latency_ms']:.2f}",
    ]


def _silent(report: EpochReport, epochs: int, which: str) -> None:
    """No word of an epoch."""


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
