"""`segnas fetch`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.progress import DownloadColumn, TransferSpeedColumn
from rich.table import Table

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, print_wide, say
from nas.report.plain_table import plain_table

HELP = "list the data sets that can be downloaded, or download one"
MIRROR_VARIABLE = "SEGNAS_MIRROR"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "name", nargs="?", metavar="NAME", help="such as hippocampus; without one they are listed"
    )
    command.add_argument(
        "--to",
        type=path,
        default=Path(),
        metavar="DIR",
        help="the folder in which the set's folder is made (default: this one)",
    )
    command.add_argument(
        "--mirror",
        metavar="URL",
        help=f"where the archives are, in place of AWS's open data (or in {MIRROR_VARIABLE})",
    )
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from trainers.data.fetch.open_sets import MIRROR

    mirror = options.mirror or os.environ.get(MIRROR_VARIABLE) or MIRROR
    return _fetch(options, mirror) if options.name else _list(options.json, mirror)


def _fetch(options: argparse.Namespace, mirror: str) -> int:
    from nas.search.progress_bars import Bars
    from trainers.data.fetch.fetch import fetch
    from trainers.data.fetch.open_sets import CITE, LICENCE, find_open_set

    which = find_open_set(options.name)
    with Bars(NOTES, DownloadColumn(), TransferSpeedColumn()) as bars:
        folder = fetch(which, options.to, bars.count, mirror)
    following = f"segnas search {shlex.quote(str(folder))}"
    if options.json:
        print(json.dumps({"folder": str(folder), "licence": LICENCE, "next": following}))
        return 0
    say(f"{folder}: {which.labelled} labelled cases; {LICENCE}, cite {CITE}")
    say(f"next: {following}")
    return 0


def _list(as_json: bool, mirror: str) -> int:
    from trainers.data.fetch.download import size_of
    from trainers.data.fetch.fetch import archive_address
    from trainers.data.fetch.open_sets import LICENCE, OPEN_SETS

    addresses = [archive_address(one, mirror) for one in OPEN_SETS]
    with ThreadPoolExecutor(len(addresses)) as pool:
        sizes = list(pool.map(size_of, addresses))
    rows: list[dict[str, Any]] = [
        {
            "name": one.name,
            "folder": one.folder,
            "what": one.what,
            "labelled": one.labelled,
            "unlabelled": one.unlabelled,
            "bytes": size,
            "licence": LICENCE,
        }
        for one, size in zip(OPEN_SETS, sizes, strict=True)
    ]
    if as_json:
        print(json.dumps({"mirror": mirror, "sets": rows}))
        return 0
    print_wide(_table(rows))
    say("next: segnas fetch NAME --to DIR")
    return 0


def _table(rows: list[dict[str, Any]]) -> Table:
    numbers, title = ("labelled", "unlabelled", "MB"), "Medical Segmentation Decathlon"
    whole = ("name", *numbers, "licence")
    table = plain_table(("name", "what"), numbers, ["licence"], whole=whole, title=title)
    for row in rows:
        size = "no answer" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.0f}"
        cases = str(row["labelled"]), str(row["unlabelled"])
        table.add_row(row["name"], row["what"], *cases, size, row["licence"])
    return table
