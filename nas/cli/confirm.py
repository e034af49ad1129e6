"""`segnas confirm`: which members of a front can be trusted."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from nas.cli import arguments
from nas.cli.console import NOTES, print_wide
from nas.pareto.objectives import objective

if TYPE_CHECKING:
    from nas.analysis.confirm import Confirmed

HELP = "train those near the front again with other seeds: who would be on it again?"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of `segnas confirm`."""
    arguments.add_search_folder(command)
    command.add_argument(
        "--top",
        type=arguments.positive,
        default=5,
        metavar="N",
        help="how many: members of the front first, then who was nearest (default: 5)",
    )
    command.add_argument(
        "--seeds",
        type=arguments.at_least(2, "one tells no spread: "),
        default=3,
        metavar="N",
        help="trainings of each (default: 3)",
    )
    arguments.add_address(command)
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    """Run `segnas confirm`."""
    from nas.analysis.confirm.confirm_front import confirm_search
    from nas.search.progress_bars import Bars

    with Bars(NOTES) as bars:
        confirmed = confirm_search(
            options.dir, options.top, options.seeds, options.address, bars.count
        )
    if options.json:
        print(json.dumps({"confirmed": [one.to_json() for one in confirmed]}))
        return 0
    print_wide(confirmed_table(confirmed))
    best = confirmed[0].result.key
    print(f"next: segnas export {options.dir} --pick {best} --to OUT")
    return 0


def confirmed_table(confirmed: Sequence[Confirmed]) -> Table:
    """A row a candidate, the surest first."""
    table = Table("key", "front", "Dice then", "Dice again", "parameters", "latency", "chance")
    for column in table.columns[2:]:
        column.justify = "right"
    for one in confirmed:
        result = one.result
        failed = f", {one.failed} failed" if one.failed else ""
        table.add_row(
            result.key,
            "yes" if one.on_front else "near",
            f"{result.dice:.4f}",
            f"{one.mean:.4f} ± {one.deviation:.4f}{failed}",
            *(objective(name).exact(result.value(name)) for name in ("params", "latency_ms")),
            f"{one.chance:.0%}",
        )
    table.caption = (
        "chance: that no network which costs no more has more Dice, in the mean over all seeds"
    )
    return table
