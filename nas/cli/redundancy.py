"""`segnas redundancy`."""

from __future__ import annotations

import argparse
import json
import shlex

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, note, print_wide, say

HELP = "find the transformer layers of a network that do little"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("out", type=path, metavar="DIR", help="an exported folder")
    command.add_argument("--data", type=path, required=True, help="folder of images")
    command.add_argument("--to", type=path, metavar="OUT", help="default: DIR/redundancy")
    command.add_argument(
        "--prune",
        type=int,
        metavar="N",
        help="how many mixers and MLPs the proposal does without (default: about a quarter)",
    )
    command.add_argument(
        "--output",
        choices=("residual", "branch"),
        default="residual",
        help="the output of a mixer or MLP with its residual, or alone (default: residual)",
    )
    command.add_argument(
        "--cka",
        choices=("centred", "uncentred"),
        default="centred",
        help="CKA of centred features, or of raw ones, as SlimFormer-3D's Eq. 3 writes it "
        "(default: centred)",
    )
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.analysis.redundancy import redundancy_report, redundancy_table, write_report
    from nas.export.export_folder import Export
    from nas.search.progress_bars import Bars

    export = Export(options.out)
    to = arguments.no_file(options.to or options.out / "redundancy")
    note(f"using the {export.weights.stem} weights: {export.weights}")
    with Bars(NOTES) as bars:
        report = redundancy_report(
            export, options.data, options.prune, options.output, options.cka, bars.count
        )
    written = write_report(report, to)
    if seen := report.seen():
        note(seen)
    if options.json:
        print(json.dumps(report.to_json()))
        return 0
    print_wide(redundancy_table(report.redundancy, report.closed))
    say(report.conclusion())
    say(f"written: {', '.join(map(str, written))}")
    if report.proposal:
        setting = shlex.quote(f'search.warm_start=["{written[-1]}"]')
        say(f"next: segnas search CONFIG --set {setting}")
        say(f"  (CONFIG searches the space {report.architecture.space}; `--dir` a new folder)")
    return 0
