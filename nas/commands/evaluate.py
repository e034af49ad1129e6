"""`segnas evaluate`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from nas.commands import arguments
from nas.commands.printing import NOTES, note

HELP = "score an exported network on labelled images"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of `segnas evaluate`."""
    arguments.add_export(command)
    command.add_argument("--images", type=Path, required=True, help="folder of NIfTI images")
    command.add_argument("--labels", type=Path, required=True, help="folder of their labels")
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    """Run `segnas evaluate`."""
    from nas.commands.evaluation_table import evaluation_table, measured_line
    from nas.exported import Export
    from nas.measured import macs_measured
    from nas.progress import Bars
    from trainers.evaluate import evaluate_folder

    export = Export(options.out)
    note(f"using the {export.weights.stem} weights: {export.weights}")
    with Bars(NOTES) as bars:
        evaluation = evaluate_folder(export.segmenter(), options.images, options.labels, bars.count)
    macs = macs_measured(export, evaluation.measured)
    if options.json:
        print(json.dumps({"weights": export.weights.stem, **evaluation.to_json(), **macs}))
    else:
        Console().print(evaluation_table(evaluation))
        if line := measured_line(evaluation.measured, macs):
            print(line)
    return 0
