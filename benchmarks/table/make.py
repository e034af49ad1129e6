"""Train every network of a sub-space of `hybrid`, for a benchmark of search by looking up.

    cd benchmarks/table
    python make.py hippocampus.yaml --data Task04_Hippocampus --to table.jsonl --seeds 2
    python collect.py table.jsonl --config hippocampus.yaml --to hippocampus.json

The sub-space and the recipe are in the YAML file. One JSON line is added for every training: key,
architecture, seed, validation Dice after every epoch, process seconds of every epoch. What the file
holds already is not trained again, and several processes may share the work: each takes the next
training that nobody is at. The networks come in a shuffled order, each with all its seeds, so
that a table that is not done is a fair sample. Some 40 s a training of the hippocampus on one core.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import random
from contextlib import suppress
from itertools import product
from pathlib import Path
from time import process_time

import torch
from filelock import FileLock, Timeout

from nas.cli.main import one_line_errors
from nas.config.data_space import DataSpace, space_for
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.cost.count import cost_of
from search_spaces.all_params import all_params
from search_spaces.space import Architecture, RandomTrial
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path, help="sub-space and recipe")
    parser.add_argument("--data", type=Path, required=True, help="the data set's folder")
    parser.add_argument("--to", type=Path, required=True, help="JSON lines")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(RunConfig, options.config, [f"data.path={options.data}"])
    cache, cases = prepare_data(config.data, options.to.with_suffix(".cache"))
    within = space_for(
        config.space, cache.prepared_voxel_size, config.train.patch, cache.targets.outputs
    )
    points = every_point(within)
    random.Random(0).shuffle(points)
    claims = options.to.with_suffix(".claims")
    claims.mkdir(exist_ok=True)
    for point, seed in product(points, range(options.seeds)):
        with suppress(Timeout), FileLock(claims / f"{point.key}-{seed}", blocking=False):
            if (point.key, seed) not in trained(options.to):
                append(options.to, train(point, seed, cache, cases, config.train))


def train(
    point: Architecture, seed: int, cache: VolumeCache, cases: Cases, config: TrainConfig
) -> dict[str, object]:
    """The table's line of one training."""
    torch.manual_seed(seed)
    task = cache.channels, cache.targets.outputs
    network = point.build(*task)
    cost = cost_of(point, *task, config.patch)
    trainer = Trainer(network, cache, cases, config, device=torch.device("cpu"), seed=seed)
    seconds = []
    while not trainer.done:
        started = process_time()
        trainer.run_epoch()
        seconds.append(round(process_time() - started, 3))
    return {
        "key": point.key,
        "seed": seed,
        "params": cost.params,
        "macs": cost.macs,
        "task": task,
        "voxel_size": cache.prepared_voxel_size,
        "dice": [round(dice, 5) for dice in trainer.curve],
        "seconds": seconds,
        "architecture": point.to_json(),
    }


def every_point(within: DataSpace) -> list[Architecture]:
    """Every network of the restricted space once, in the order of their keys."""
    space, restrict = within.space, within.restrict
    options = all_params(space.kind, restrict)
    choices = (dict(zip(options, values, strict=True)) for values in product(*options.values()))
    points = {}
    for choice in choices:
        point = space.sample(RandomTrial(0, choice), restrict)
        points[point.key] = point
    return [points[key] for key in sorted(points)]


def trained(path: Path) -> set[tuple[str, int]]:
    """What the file holds: the key and the seed of every training."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {(line["key"], line["seed"]) for line in map(json.loads, lines)}


def append(path: Path, record: dict[str, object]) -> None:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
