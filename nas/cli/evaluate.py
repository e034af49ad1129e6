"""`segnas evaluate`."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import TYPE_CHECKING

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, note, print_wide, say
from trainers.errors import UserError
from trainers.metric_names import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.export.export_folder import Export
    from trainers.data.source import Case

HELP = "score an exported or deployed network, or several, on labelled images"
USUAL = METRICS[:5]


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_segmenters(command)
    command.add_argument(
        "--images",
        type=path,
        help="folder of images: NIfTI, NRRD, MetaImage, pictures, or DICOM series; cases that the "
        "network was trained on are known by their names alone",
    )
    command.add_argument(
        "--labels",
        type=path,
        help="folder of their labels, named alike; of DICOM, SEG or RTSTRUCT",
    )
    command.add_argument(
        "--part",
        choices=("test", "validation"),
        help="in place of --images and --labels: the cases of that part of the split of an "
        "exported folder, the first DIR, from its own data",
    )
    command.add_argument(
        "--tolerance",
        type=arguments.distance,
        default=1.0,
        metavar="MM",
        help="of the normalised surface Dice, in mm (default: 1)",
    )
    command.add_argument(
        "--columns",
        type=arguments.some_of(METRICS),
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


def next_line(export: Export) -> str:
    """What tells of this command once a network is trained."""
    from nas.export.learnt_cases import has_test_part

    which = "--part test" if has_test_part(export) else "--images DIR --labels DIR"
    return f"next: segnas evaluate {shlex.quote(str(export.folder))} {which}"


def run(options: argparse.Namespace) -> int:
    from nas.cli.evaluation_table import evaluation_tables, measured_line, seen_line, speed_line
    from nas.export.deploy.open_segmenter import open_segmenter
    from nas.export.effective_macs import effective_macs
    from nas.export.export_folder import Export
    from nas.export.learnt_cases import learnt_by
    from nas.search.progress_bars import Bars
    from trainers.atomic import output_folder, replace_files
    from trainers.evaluate import evaluate_cases, evaluate_folder

    _check_which(options)
    own = _part_cases(options) if options.part else None
    segmenter, used = open_segmenter(*options.dirs, raw=options.raw)
    if options.to:
        output_folder(options.to)
    note(f"using the {used}")
    with Bars(NOTES) as bars:
        how = bars.count, options.tolerance
        if own is None:
            evaluation = evaluate_folder(segmenter, options.images, options.labels, *how)
        else:
            evaluation = evaluate_cases(segmenter, own, options.dirs[0], *how)
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


def _check_which(options: argparse.Namespace) -> None:
    """Raises UserError unless it is said once which cases are scored."""
    if options.part and (options.images or options.labels):
        raise UserError("--part and --images with --labels exclude each other; give one of them")
    if not options.part and not (options.images and options.labels):
        raise UserError(
            "which cases? Expected --images FOLDER and --labels FOLDER, or --part test for those "
            "that the split of an exported folder set aside"
        )


def _part_cases(options: argparse.Namespace) -> Sequence[Case]:
    from nas.export.deploy.record import RECORD
    from nas.export.export_folder import Export
    from nas.export.split_part import part_cases

    first = options.dirs[0]
    if (first / RECORD).is_file():
        raise UserError(
            f"--part {options.part}: {first} is deployed, and does not know its data; give "
            "--images and --labels, or the exported folder first"
        )
    return part_cases(Export(first), options.part)
