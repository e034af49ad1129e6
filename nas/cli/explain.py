"""`segnas explain`."""

from __future__ import annotations

import argparse
import json

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, note, print_wide, say

HELP = "draw what a network prunes, routes and attends to, and test whether it needs to"
MOST = 3


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_export(command)
    command.add_argument(
        "--data",
        type=path,
        required=True,
        help=f"a folder of images, or {arguments.DATA}; cases of the training are left out",
    )
    command.add_argument("--labels", type=path, help="folder of the labels of a folder of images")
    command.add_argument(
        "--cases",
        type=arguments.positive,
        default=MOST,
        metavar="N",
        help=f"how many are drawn, at most, evenly chosen (default: {MOST})",
    )
    command.add_argument(
        "--ablate",
        action="store_true",
        help="evaluate all cases again with each mechanism replaced: which earns its cost?",
    )
    command.add_argument("--to", type=path, metavar="FOLDER", help="default: OUT/explain")
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.analysis.explain import ablation_table, explain, shares_table, write_explanation
    from nas.export.export_folder import Export
    from nas.search.progress_bars import Bars

    export = Export(options.out)
    to = arguments.no_file(options.to or options.out / "explain")
    note(f"using the {export.weights.stem} weights: {export.weights}")
    chosen = options.data, options.labels, options.cases, options.ablate
    with Bars(NOTES) as bars:
        explanation = explain(export, *chosen, bars.count)
    written = write_explanation(explanation, to)
    if explanation.note:
        note(explanation.note)
    if options.json:
        print(json.dumps(explanation.to_json()))
        return 0
    print_wide(shares_table(explanation))
    if explanation.ablation:
        print_wide(ablation_table(explanation.ablation))
    say(f"written: {', '.join(map(str, written))}")
    return 0
