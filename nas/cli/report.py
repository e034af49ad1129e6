"""`segnas report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import say
from nas.cli.with_runs import with_runs

HELP = "write a search as a report: Markdown, figures, LaTeX and CSV"


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_search_folder(command)
    command.add_argument("--to", type=path, metavar="OUT", help="default: DIR/report")


def run(options: argparse.Namespace) -> int:
    from nas.report.read_search import read_search
    from nas.report.write_report import write_report

    to: Path = options.to or options.dir / "report"
    config, record = read_search(options.dir)
    for file in write_report(config, with_runs(config, record, options.dir), to):
        say(file)
    return 0
