"""`segnas init`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nas.cli.arguments import add_hours, path
from nas.cli.console import NOTES, note
from trainers.errors import UserError

if TYPE_CHECKING:
    from nas.analysis.plan import Plan

HELP = "look at a folder of data and this machine, and write a configuration with its reasons"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of `segnas init`."""
    command.add_argument("data", type=path, metavar="DATA", help="a folder with dataset.json")
    command.add_argument(
        "--to",
        type=path,
        metavar="FILE.yaml",
        help="the file to write (default: the folder's name with .yaml, here)",
    )
    add_hours(command)
    command.add_argument("--force", action="store_true", help="write over a file that is there")


def run(options: argparse.Namespace) -> int:
    """`segnas init DATA`."""
    name = search_name(options.data)
    file = options.to or Path(f"{name}.yaml")
    _check_file(file, options.force)
    plan = plan_for(options.data, name, Path("runs") / name, options.hours)
    write_plan(plan, file, f"segnas search {file}")
    for line in plan.lines:
        note(line)
    note(f"Wrote {file}. Search with: segnas search {file}")
    return 0


def search_name(folder: Path) -> str:
    """The folder's name, as far as a search may have it."""
    letters = "".join(c if c.isalnum() or c in "_.-" else "-" for c in folder.resolve().name)
    return letters.lstrip(".-") or "search"


def plan_for(data: Path, name: str, directory: Path, hours: float | None) -> Plan:
    """Make a plan, with bars in the terminal. Raises UserError for a folder without data."""
    from trainers.data.folder_source import source_of

    source = source_of(data, directory)

    from nas.analysis.plan import make_plan
    from nas.search.progress_bars import Bars

    with Bars(NOTES) as bars:
        return make_plan(source, name, directory, hours, bars.count)


def write_plan(plan: Plan, file: Path, command: str) -> None:
    """The whole file, or none."""
    from trainers.atomic import replace_files

    replace_files({file: plan.to_yaml(command).encode()})


def _check_file(file: Path, force: bool) -> None:
    """Before minutes of reading. Raises UserError where it may not be written."""
    if file.is_dir() or not file.parent.is_dir():
        what = "a folder" if file.is_dir() else f"{file.parent} is no folder"
        raise UserError(f"--to {file}: {what}; give another file")
    if file.exists() and not force:
        raise UserError(f"{file} is there already; give another file (--to), or --force")
