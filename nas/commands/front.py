"""`segnas front`: the members of a search's front."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from nas.commands import arguments

HELP = "show the Pareto front of a search"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of `segnas front`."""
    arguments.add_search_folder(command)
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    """Run `segnas front`."""
    from nas.front_files import front_json, read_front
    from nas.terminal import front_table

    members, objectives = read_front(options.dir)
    if options.json:
        print(json.dumps(front_json(members, objectives)))
    else:
        Console().print(front_table(members))
    return 0
