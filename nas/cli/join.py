"""`segnas join`: a network that was made smaller, beside the front of its search."""

from __future__ import annotations

import argparse
import json

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, note, say

HELP = "put what compress made beside the front of its search"


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_search_folder(command)
    command.add_argument(
        "out", type=path, metavar="OUT2", help="what segnas compress made of a network of it"
    )
    arguments.add_address(command)
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.pareto.objectives import DICE
    from nas.report.terminal_tables import shell_path
    from nas.search.join_search import join_search
    from nas.search.resync import sync_search

    joined, new = join_search(options.dir, options.out, NOTES, options.address)
    code = sync_search(options.dir, NOTES)
    if options.json:
        print(json.dumps(joined.to_json()))
        return code
    place = "stands" if new else "stood already"
    told = f"{joined.label} {place} beside the front, Dice {DICE.exact(joined.dice)}"
    say(f"{told}, {joined.costs['params']:,} parameters")
    note(f"next: segnas front {shell_path(options.dir)}")
    return code
