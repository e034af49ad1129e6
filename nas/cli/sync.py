"""`segnas sync`."""

from __future__ import annotations

import argparse

from nas.cli import arguments
from nas.report.safe_console import SafeConsole

HELP = "write a search's front files anew, and send MLflow what it lacks"

add_arguments = arguments.add_search_folder


def run(options: argparse.Namespace) -> int:
    from nas.search.resync import sync_search

    return sync_search(options.dir, SafeConsole())
