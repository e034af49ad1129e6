"""Measure the latencies of the networks that make.py has trained, and write the table.

    python collect.py table.jsonl --config hippocampus.yaml --to hippocampus.json
    python collect.py hippocampus.json --to again.json
    python collect.py log.jsonl --config hippocampus_log.yaml --latencies hippocampus.json --to ...

Needs a quiet machine: some three seconds a network. All are measured in turns, several times, and
each has the median of its medians. A network that make.py trained with several seeds has a Dice
curve for each; its seconds an epoch are their mean, of process time. Of a table that is there
(.json) only the latencies are new. `--latencies` takes those of another table of the same networks
instead of measuring.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from rich.progress import track

from nas.cli.main import one_line_errors
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.cost.latency import Latency, LatencyConfig
from nas.cost.latency.measure import measure_latency
from search_spaces.registry import find_space
from trainers.errors import UserError

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("lines", type=Path, help="JSON lines, of make.py, or a table")
    parser.add_argument("--config", type=Path, help="what make.py went by, of JSON lines")
    parser.add_argument("--latencies", type=Path, help="a table that has them")
    parser.add_argument("--to", type=Path, required=True, help="JSON")
    options = parser.parse_args()
    table = read_table(options.lines, options.config)
    if options.latencies:
        known = read_table(options.latencies, None)
        found = {row["key"]: row["latency_ms"] for row in known["networks"]}
        conditions = known["latency"]
        if lacking := [row["key"] for row in table["networks"] if row["key"] not in found]:
            raise UserError(f"{options.latencies} has no latency of {', '.join(lacking[:3])}")
    else:
        found, conditions = latencies(table)
    table["latency"] = conditions
    networks = [{**row, "latency_ms": found[row["key"]]} for row in table["networks"]]
    head = json.dumps({name: value for name, value in table.items() if name != "networks"})
    rows = ",\n".join(json.dumps(network) for network in networks)
    options.to.write_text(f'{head[:-1]}, "networks": [\n{rows}\n]}}\n')


def read_table(path: Path, config_file: Path | None) -> dict[str, Any]:
    """The table in there; of JSON lines what has all seeds, without latencies.

    Raises UserError where nothing says what make.py went by.
    """
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if config_file is None:
        raise UserError(f"{path} does not say what make.py went by; expected --config FILE")
    trained: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        trained.setdefault(record["key"], []).append(record)
    config = read_config(RunConfig, config_file)
    seeds = max(len(runs) for runs in trained.values())
    complete = sorted(key for key, runs in trained.items() if len(runs) == seeds)
    return {
        "about": "validation Dice of every epoch, by real training; see make.py beside this file",
        "latency": "",
        "config": config.model_dump(mode="json", include={"space", "train"}),
        "task": record["task"],
        "voxel_size": record.get("voxel_size"),
        "networks": [entry(sorted(trained[key], key=lambda run: run["seed"])) for key in complete],
    }


def latencies(table: dict[str, Any]) -> tuple[dict[str, float], str]:
    """Of every key in ms, and the conditions."""
    rounds: dict[str, list[float]] = {row["key"]: [] for row in table["networks"]}
    config = RunConfig.model_validate(
        {"name": "table", "data": {"source": "phantom"}, **table["config"]}
    )
    for row in track(ROUNDS * table["networks"], "latencies"):
        latency = measure(row["architecture"], table["task"], config)
        rounds[row["key"]].append(latency.p50_ms)
    found = {key: round(median(measured), 3) for key, measured in rounds.items()}
    return found, latency.conditions.text()


def measure(architecture: dict[str, Any], task: tuple[int, int], config: RunConfig) -> Latency:
    """Of one pass of a training patch, on one thread; `task`: channels of images and logits."""
    torch.manual_seed(0)
    network = find_space(config.space.name).from_json(architecture).build(*task)
    settings = LatencyConfig(patch=config.train.patch, seconds=0.5)
    return measure_latency(network, task[0], settings, torch.device("cpu"))


def entry(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One network; `dice`: a curve for every seed."""
    first = runs[0]
    return {
        "key": first["key"],
        "params": first["params"],
        "macs": first["macs"],
        "seconds_per_epoch": round(mean(mean(run["seconds"]) for run in runs), 3),
        "dice": [run["dice"] for run in runs],
        "architecture": first["architecture"],
    }


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
