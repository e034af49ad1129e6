"""`segnas report`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import note, say
from trainers.errors import UserError

HELP = "write a search as a report: Markdown, figures, LaTeX and CSV"


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_search_folder(command)
    command.add_argument("--to", type=path, metavar="OUT", help="default: DIR/report")


def run(options: argparse.Namespace) -> int:
    from nas.report.read_search import read_search
    from nas.report.write_report import write_report
    from nas.tracking.lookup import find_trial_runs

    to: Path = options.to or options.dir / "report"
    config, record = read_search(options.dir)
    try:
        runs = find_trial_runs(config.tracking, options.dir, record.id)
    except UserError as error:
        note(f"{error}; the page does not lead to the runs there")
    else:
        record = replace(record, runs=runs)
    for file in write_report(config, record, to):
        say(file)
    return 0
