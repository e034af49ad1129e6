"""`segnas confirm`: which members of a front can be trusted."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from rich.table import Table

from nas.cli import arguments
from nas.cli.console import NOTES, note, print_wide, say
from nas.pareto.objectives import COSTS, LATENCY, chance_text, costs_among, is_latency, objective

if TYPE_CHECKING:
    from nas.report.search_record import SearchRecord

HELP = "train those near the front again with other seeds: who would be on it again?"


def add_arguments(command: argparse.ArgumentParser) -> None:
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
        type=arguments.positive,
        default=3,
        metavar="N",
        help="repeats of each, those of the search among them (default: 3)",
    )
    arguments.add_address(command)
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.config.run_config import RunConfig
    from nas.config.yaml_file import read_config
    from nas.report.read_search import read_search
    from nas.report.terminal_tables import shell_path
    from nas.search.run import Confirm, run_search
    from nas.study.search_folder import journal_in

    journal_in(options.dir)
    config = read_config(RunConfig, options.dir / "config.yaml", recorded=True)
    run_search(config, options.dir, NOTES, options.address, Confirm(options.top, options.seeds))
    told = confirmed(read_search(options.dir)[1])
    if options.json:
        print(json.dumps({"confirmed": told}))
        return 0 if told else 1
    if not told:
        note("no repeat came to its end; the same command tries again")
        return 1
    print_wide(confirmed_table(told))
    say(f"next: segnas export {shell_path(options.dir)} --pick {told[0]['key']} --to OUT")
    return 0


def confirmed(record: SearchRecord) -> list[dict[str, Any]]:
    """Of every network that was trained again what is known of it, the surest first.

    `mean` and `deviation` are of the repeats alone, which did not choose it.
    """
    members = {member.key for member in record.members}
    told = []
    for result in record.results:
        first, *again = result.trainings or (None,)
        if again:
            told.append(
                {
                    "key": result.key,
                    "on_front": result.key in members,
                    "dice_of_search": first,
                    "dice_of_repeats": again,
                    "mean": mean(again),
                    "deviation": stdev(again) if len(again) > 1 else None,
                    "chance": record.chances.get(result.key, 0.0),
                    **{name: result.value(name) for name in costs_among([*COSTS, *result.costs])},
                }
            )
    return sorted(told, key=lambda one: (-one["chance"], -one["mean"], one["key"]))


def confirmed_table(told: Sequence[dict[str, Any]]) -> Table:
    """A row a network."""
    known = costs_among(name for one in told for name in one if is_latency(name))
    latencies = [name for name in known if name != LATENCY] or [LATENCY]
    titles = ["parameters", *(objective(name).phrase for name in latencies), "chance"]
    table = Table("key", "front", "Dice then", "Dice again", *titles)
    for column in table.columns[2:]:
        column.justify = "right"
    for one in told:
        spread = "" if one["deviation"] is None else f" ± {one['deviation']:.4f}"
        table.add_row(
            one["key"],
            "yes" if one["on_front"] else "near",
            f"{one['dice_of_search']:.4f}",
            f"{one['mean']:.4f}{spread}",
            *(objective(name).short(one.get(name)) for name in ("params", *latencies)),
            chance_text(one["chance"]),
        )
    table.caption = (
        "front: by the mean over all trainings; chance: that no network which costs no more has a "
        "higher true Dice"
    )
    return table
