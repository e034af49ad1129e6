"""Collect the trainings of searches on the same data: what a surrogate is fitted to.

    python benchmarks/trained/collect.py runs/a runs/b --to benchmarks/trained/NAME.json

The searches have the same space, patch and steps; their splits may differ. Of every candidate that
was trained, to the end or until it was stopped: its architecture, costs and Dice curve.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from nas.cli.main import one_line_errors
from nas.pareto.result import Result
from nas.search.notebook import Search
from trainers.data.task import Task

SAME = ("patch", "epochs", "steps_per_epoch", "batch", "learning_rate")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("searches", type=Path, nargs="+", help="their folders")
    parser.add_argument("--to", type=Path, required=True, help="JSON")
    options = parser.parse_args()
    searches = [Search(folder) for folder in options.searches]
    first, task = searches[0].config, Task.read(options.searches[0])
    for search in searches[1:]:
        for name in SAME:
            here, there = getattr(search.config.train, name), getattr(first.train, name)
            assert here == there, f"{search.directory}: train.{name} is {here}, not {there}"
    head: dict[str, Any] = {
        "about": "validation Dice of real trainings; see collect.py beside this file",
        "config": first.model_dump(mode="json", include={"space", "train", "budget"}),
        "spacing": task.spacing or task.voxel_size,
        "channels": task.channels,
        "classes": len(task.classes),
    }
    rows = [
        row(number, result)
        for number, search in enumerate(searches)
        for result in search.results
        if result.state in ("complete", "stopped") and result.curve and not result.baseline
    ]
    lines = ",\n".join(json.dumps(each) for each in rows)
    options.to.write_text(f'{json.dumps(head)[:-1]}, "trainings": [\n{lines}\n]}}\n')
    print(f"{len(rows)} trainings of {len(searches)} searches")


def row(search: int, result: Result) -> dict[str, Any]:
    """One training; `search`: the number of its search, since splits differ."""
    return {
        "search": search,
        "params": result.costs["params"],
        "macs": result.costs["macs"],
        "complete": result.state == "complete",
        "dice": [round(dice, 5) for dice in result.curve],
        "architecture": result.architecture,
    }


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
