"""The best validation Dice within limits of parameters: searches beside plain scripts.

    python benchmarks/dice_within_params.py runs/a-0 runs/a-1 runs/a-2 runs/script-0 runs/script-1
    python benchmarks/dice_within_params.py runs/* --limits 9600 18800 41000

Of a search its front counts, of a script (plain_script.py) every training that has ended. Without
`--limits` there are seven, geometric from the smallest to the largest network of the scripts'
front. A median has a value where every run of its kind has a network of that size.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from math import isnan, nan
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors
from nas.report.read_search import read_search

TRAININGS = "trainings.jsonl"
Networks = Sequence[tuple[int, float]]
"""Parameters and Dice of each."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = _options(arguments)
    kinds: dict[str, dict[Path, Networks]] = {"searches": {}, "scripts": {}}
    for folder in options.runs:
        if (folder / TRAININGS).is_file():
            kinds["scripts"][folder] = trained(folder)
        else:
            kinds["searches"][folder] = found(folder)
    runs = kinds["scripts"] or kinds["searches"]
    limits = options.limits or ladder([network for run in runs.values() for network in run])
    table = Table(title="Best validation Dice")
    table.add_column("parameters, at most", justify="right")
    for kind, runs in kinds.items():
        for name in [*(folder.name for folder in runs), f"median of {kind}"] if runs else ():
            table.add_column(name, justify="right")
    if all(kinds.values()):
        table.add_column("difference", justify="right")
    for limit in limits:
        values, medians = [], []
        for runs in filter(None, kinds.values()):
            dice = [best_dice(networks, limit) for networks in runs.values()]
            medians.append(float(np.median(dice)))
            values += [_text(value) for value in (*dice, medians[-1])]
        if len(medians) == 2:
            values.append(_text(medians[0] - medians[1], "+"))
        table.add_row(f"{limit:,}", *values)
    Console(width=200).print(table)


def trained(folder: Path) -> Networks:
    """What a script has trained."""
    rows = map(json.loads, (folder / TRAININGS).read_text().splitlines())
    return [(row["params"], row["dice"]) for row in rows]


def found(folder: Path) -> Networks:
    """The front of a search."""
    _, record = read_search(folder)
    return [(int(member.costs["params"]), member.dice or 0.0) for member in record.members]


def best_dice(networks: Networks, limit: float) -> float:
    """Of the networks of at most so many parameters; NaN where there is none."""
    return max((dice for params, dice in networks if params <= limit), default=nan)


def ladder(networks: Networks, steps: int = 7) -> list[int]:
    """Limits, geometric from the smallest to the largest network of the front."""
    best = max(dice for _, dice in networks)
    ends = min(params for params, _ in networks), min(p for p, dice in networks if dice == best)
    return [round(limit) for limit in np.geomspace(*ends, steps).tolist()]


def _text(value: float, sign: str = "") -> str:
    return "-" if isnan(value) else f"{value:{sign}.4f}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of searches and of scripts")
    parser.add_argument("--limits", type=int, nargs="+", metavar="PARAMETERS")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
