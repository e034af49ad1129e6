"""`segnas init`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from nas.cli.arguments import DATA, add_hours, path
from nas.cli.console import NOTES, note
from nas.cli.planning import make_plan_file, search_name
from trainers.errors import UserError

HELP = "look at a folder of data and at this machine, and write a configuration with its reasons"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", type=path, metavar="DATA", help=DATA)
    command.add_argument(
        "--to",
        type=path,
        metavar="FILE.yaml",
        help="the file to write, whose name the search gets (default: that of the folder)",
    )
    add_hours(command)
    command.add_argument("--force", action="store_true", help="write over a file that is there")


def run(options: argparse.Namespace) -> int:
    """`segnas init DATA`. What was read is kept in runs/NAME, where the search finds it."""
    from nas.search.stages import Stages

    if options.to:
        _check_file(options.to, options.force)
    name = search_name(options.to.with_suffix("") if options.to else options.data)
    file = options.to or Path(f"{name}.yaml")
    _check_file(file, options.force)
    command = f"segnas search {shlex.quote(str(file))}"
    with Stages(NOTES) as stages:
        stages.begin(f"Reading {options.data}")
        where = Path("runs") / name
        make_plan_file(options.data, name, where, options.hours, file, command, stages)
    note(f"Wrote {file}. Search with: {command}")
    return 0


def _check_file(file: Path, force: bool) -> None:
    """Before minutes of reading. Raises UserError where it may not be written."""
    if file.is_dir() or not file.parent.is_dir():
        what = "a folder" if file.is_dir() else f"{file.parent} is no folder"
        raise UserError(f"--to {file}: {what}; give another file")
    if file.exists() and not force:
        raise UserError(f"{file} is there already; give another file (--to), or --force")
