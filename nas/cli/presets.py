"""`segnas presets`: the named networks of the spaces."""

from __future__ import annotations

import argparse
import json

from nas.cli import arguments
from nas.cli.console import print_wide

HELP = "list the named networks of the spaces"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--space", help="those of one space")
    command.add_argument(
        "--input", type=arguments.shape, metavar="CxDxHxW", help="count the MACs for it, too"
    )
    command.add_argument(
        "--classes",
        type=arguments.positive,
        default=4,
        help="output channels, the background among them (default: 4)",
    )
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.cli.space_tables import describe_presets, presets_table
    from search_spaces.registry import all_presets, find_space

    named = find_space(options.space).presets() if options.space else all_presets()
    presets = describe_presets(named, options.input or (1,), options.classes)
    if options.json:
        print(json.dumps({"presets": [preset.to_json() for preset in presets]}))
    else:
        print_wide(presets_table(presets))
    return 0
