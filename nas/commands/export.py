"""`segnas export`: from a front member to a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.commands import arguments

HELP = "turn a front member into a folder to retrain and use"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of `segnas export`."""
    arguments.add_search_folder(command)
    command.add_argument(
        "--pick",
        required=True,
        metavar="KEY|best-dice|knee|smallest|fastest",
        help="which member; the start of a key is enough",
    )
    arguments.add_within(command)
    command.add_argument("--to", type=Path, required=True, metavar="OUT", help="a new folder")


def run(options: argparse.Namespace) -> int:
    """Run `segnas export`."""
    from nas.config import RunConfig
    from nas.config_file import read_config
    from nas.export import write_export
    from nas.front_files import read_front
    from nas.pick import pick
    from nas.within import parse_limits, within

    members, objectives = read_front(options.dir)
    config = read_config(RunConfig, options.dir / "config.yaml")
    if options.within:
        members = within(members, parse_limits(options.within))
    member = pick(members, options.pick, objectives)
    write_export(options.dir, config, member, options.to)
    print(f"{options.to}: {member.key}, Dice {member.dice:.4f}, {member.params:,} parameters")
    print(f"next: segnas retrain {options.to}")
    return 0
