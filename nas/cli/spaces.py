"""`segnas spaces`: the search spaces, or the choices of one."""

from __future__ import annotations

import argparse
import json

from nas.cli import arguments
from nas.cli.console import print_wide

HELP = "list the search spaces, or the choices of one"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("space", nargs="?", metavar="SPACE", help="show this one in full")
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.cli.space_tables import describe_presets, space_details, space_json, spaces_table
    from search_spaces.registry import all_spaces, find_space

    if options.space is None:
        spaces = all_spaces()
        if options.json:
            print(json.dumps({"spaces": [space_json(space) for space in spaces.values()]}))
        else:
            print_wide(spaces_table(spaces))
        return 0
    space = find_space(options.space)
    presets = describe_presets(space.presets())
    if options.json:
        details = {"presets": [preset.to_json() for preset in presets]}
        print(json.dumps({**space_json(space), **details}))
    else:
        print_wide(space_details(space, presets))
    return 0
