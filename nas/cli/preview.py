"""`segnas preview`."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, print_wide, say
from trainers.errors import UserError

HELP = "see what a search will meet: costs, budget, knobs and hours"
LATENCIES = 12


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("config", type=path, metavar="CONFIG", help="a YAML file")
    command.add_argument(
        "--dir", type=path, help="the search's folder, which gets the files (default: runs/NAME)"
    )
    command.add_argument(
        "--samples",
        type=arguments.positive,
        default=1000,
        metavar="N",
        help="how many architectures to draw (default: 1000)",
    )
    command.add_argument(
        "--seed", type=arguments.at_least(0), default=0, help="of the draw (default: 0)"
    )
    command.add_argument(
        "--latency",
        type=arguments.positive,
        nargs="?",
        const=LATENCIES,
        default=0,
        metavar="N",
        help=f"measure the latency of N of them ({LATENCIES})",
    )
    command.add_argument(
        "--no-hours",
        action="store_true",
        help="do not train a few candidates a little to estimate the search's hours",
    )
    arguments.add_settings(command)
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    """`segnas preview CONFIG`. Returns 1 where the budget lets nothing through."""
    from trainers.data.folder_source import is_data

    if is_data(options.config):
        raise UserError(
            f"{options.config}: preview takes a YAML file; segnas init "
            f"{shlex.quote(str(options.config))} writes one"
        )
    from nas.analysis.preview import HTML, Request, make_preview, preview_parts, write_preview
    from nas.config.run_config import RunConfig
    from nas.config.yaml_file import read_config
    from nas.search.progress_bars import Bars
    from trainers.atomic import output_folder

    config = read_config(RunConfig, options.config, options.settings)
    folder = output_folder(options.dir or Path("runs") / config.name)
    request = Request(options.samples, options.seed, options.latency, not options.no_hours)
    with Bars(NOTES) as bars:
        preview = make_preview(config, folder, request, bars.count)
    report = write_preview(preview, folder)
    if options.json:
        print(json.dumps(report))
    else:
        for part in preview_parts(preview):
            print_wide(part)
        say(f"Browse: {folder / HTML}")
    return 0 if preview.allowed.share > 0 else 1
