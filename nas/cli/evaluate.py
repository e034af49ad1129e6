"""`segnas evaluate`."""

from __future__ import annotations

import argparse
import json

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, note, print_wide, say
from trainers.metric_names import METRICS

HELP = "score an exported or deployed network, or several, on labelled images"
USUAL = METRICS[:5]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of `segnas evaluate`."""
    arguments.add_segmenters(command)
    command.add_argument("--images", type=path, required=True, help="folder of NIfTI images")
    command.add_argument("--labels", type=path, required=True, help="folder of their labels")
    command.add_argument(
        "--tolerance",
        type=arguments.distance,
        default=1.0,
        metavar="MM",
        help="of the normalised surface Dice, in mm (default: 1)",
    )
    command.add_argument(
        "--columns",
        type=_columns,
        default=USUAL,
        metavar="NAMES",
        help=f"of the table, in the files are all: {','.join(METRICS)} (default: "
        f"{','.join(USUAL)})",
    )
    command.add_argument(
        "--to", type=path, metavar="OUT", help="folder for evaluation.csv and evaluation.json"
    )
    arguments.add_raw(command)
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    """Run `segnas evaluate`."""
    from nas.cli.evaluation_table import evaluation_tables, measured_line, seen_line, speed_line
    from nas.export.deploy.open_segmenter import open_segmenter
    from nas.export.effective_macs import effective_macs
    from nas.export.export_folder import Export
    from nas.export.learnt_cases import learnt_by
    from nas.search.progress_bars import Bars
    from trainers.atomic import output_folder, replace_files
    from trainers.evaluate import evaluate_folder

    segmenter, used = open_segmenter(*options.dirs, raw=options.raw)
    if options.to:
        output_folder(options.to)
    note(f"using the {used}")
    with Bars(NOTES) as bars:
        evaluation = evaluate_folder(
            segmenter, options.images, options.labels, bars.count, options.tolerance
        )
    measured = evaluation.measured
    macs = effective_macs(Export(options.dirs[0]), measured) if measured else {}
    learnt = learnt_by(options.dirs)
    seen = learnt and learnt.among(evaluation.cases)
    counts = seen and {"training": len(seen.training), "validation": len(seen.validation)}
    record = {"network": used, "seen": counts, **evaluation.to_json(), **macs}
    if options.to:
        replace_files(
            {
                options.to / "evaluation.csv": evaluation.to_csv().encode(),
                options.to / "evaluation.json": json.dumps(record, indent=2).encode(),
            }
        )
        note(f"wrote evaluation.csv and evaluation.json to {options.to}")
    warning = seen_line(**counts, cases=len(evaluation.cases)) if counts else ""
    if options.json:
        if warning:
            note(warning)
        print(json.dumps(record))
        return 0
    for table in evaluation_tables(evaluation, options.columns):
        print_wide(table)
    say(speed_line(evaluation))
    if line := measured_line(measured, macs):
        say(line)
    if warning:
        say(warning)
    return 0


def _columns(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in METRICS]:
        raise argparse.ArgumentTypeError(
            f"{unknown[0]!r} is no metric; expected some of {','.join(METRICS)}"
        )
    return names
