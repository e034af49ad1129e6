"""`segnas compare`: the fronts of several searches beside each other."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import print_wide, say
from nas.cli.with_runs import with_runs

HELP = "compare the fronts of several searches on the same data"
MOST = 8  # colours that can be told apart


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "dirs", type=path, nargs="+", metavar="DIR", help="the searches' folders, two or more"
    )
    command.add_argument(
        "--objectives",
        metavar="NAMES",
        help="compare in these, such as dice,params (default: the searches' own)",
    )
    command.add_argument("--to", type=path, metavar="FILE", help="also write a page, FILE.html")
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.pareto.objectives import objective
    from nas.report.comparison import compare, comparison_page, comparison_tables
    from nas.report.read_search import read_search
    from nas.search.same_data import with_files_of_first
    from trainers.atomic import replace_files
    from trainers.errors import UserError

    if options.to and options.to.is_dir():
        raise UserError(f"--to {options.to}: a folder; give a file")
    names = [name.strip() for name in options.objectives.split(",")] if options.objectives else None
    try:
        chosen = [objective(name).name for name in names] if names else None
    except ValueError as error:
        raise UserError(f"--objectives: {error}") from None
    folders = _named(options.dirs)
    found = {name: read_search(folder) for name, folder in folders.items()}
    searches = {
        name: with_runs(config, record, folders[name]) if options.to else record
        for name, (config, record) in found.items()
    }
    caches = {name: found[name][0].data.cache_folder(folder) for name, folder in folders.items()}
    comparison = compare(with_files_of_first(searches, caches), chosen)
    to: Path | None = options.to
    if to:
        to = to if to.suffix == ".html" else to.with_name(f"{to.name}.html")
        try:
            replace_files({to: comparison_page(comparison).encode()})
        except OSError as error:
            raise UserError(f"{to} cannot be written: {error.strerror or error}") from error
    if options.json:
        print(json.dumps(comparison.to_json()))
        return 0
    for table in comparison_tables(comparison):
        print_wide(table)
    for note in comparison.notes:
        say(f"Differs, too: {note}")
    if to:
        say(f"Browse: {to}")
    return 0


def _named(folders: list[Path]) -> dict[str, Path]:
    """Each folder by its own name, by the whole path where two have the same.

    Raises UserError for fewer than two different ones, or too many.
    """
    from trainers.errors import UserError

    places = list(dict.fromkeys(folder.resolve() for folder in folders))
    if len(places) < len(folders) or not 2 <= len(places) <= MOST:
        raise UserError(
            f"{len(folders)} folders, {len(places)} of them different; expected the folders of 2 "
            f"to {MOST} different searches (runs/NAME)"
        )
    short = [place.name for place in places]
    unique = len(set(short)) == len(short)
    return {
        (name if unique else str(place)): place for name, place in zip(short, places, strict=True)
    }
