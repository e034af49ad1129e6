"""`segnas postprocess`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.table import Table

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, note, print_wide
from nas.report.plain_table import plain_table
from trainers.counted import counted
from trainers.errors import UserError

if TYPE_CHECKING:
    from nas.export.postprocess_record import PostprocessRecord

HELP = "choose what is done with an exported network's label maps, by what helps"


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_export(command)
    command.add_argument(
        "--images",
        type=path,
        metavar="FOLDER",
        help="cases to choose on that the network has not seen, in place of its validation cases",
    )
    command.add_argument("--labels", type=path, metavar="FOLDER", help="those of --images")
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.cli.evaluation_table import seen_line
    from nas.export.choose_postprocess import choose_postprocess
    from nas.export.export_folder import Export
    from nas.export.learnt_cases import learnt_cases
    from nas.export.model_card import write_card
    from nas.search.progress_bars import Bars
    from nas.study.folder_lock import alone_in
    from trainers.evaluate import labelled_cases

    if bool(options.images) != bool(options.labels):
        raise UserError("--images and --labels go together; give both, or neither")
    export = Export(options.out)
    cases = None
    if options.images:
        how = export.config.task, export.config.data.preprocess.affine
        cases = labelled_cases(options.images, options.labels, *how)
    note(f"using the {export.weights.stem} weights: {export.weights}")
    with alone_in(export.folder, "network"), Bars(NOTES) as bars:
        record = choose_postprocess(export, cases, bars.count)
    write_card(export.folder)
    learnt = len(learnt_cases(export).training & set(record.cases)) if cases else 0
    if warning := seen_line(learnt, 0, len(record.cases)):
        note(warning)
    if options.json:
        print(record.model_dump_json(exclude_defaults=True))
        return 0
    print_wide(postprocess_table(record))
    return 0


def postprocess_table(record: PostprocessRecord) -> Table:
    """The steps of each class, and what they are worth."""
    from trainers.postprocess.choose import FEWEST

    table = plain_table(
        ["class", "Dice, raw", "then", "HD95 mm, raw", "then", "steps"],
        title=f"postprocessing, chosen on {counted(len(record.cases), 'case')}",
        caption="" if len(record.cases) >= FEWEST else f"none on fewer than {FEWEST} cases",
    )
    for name, one in record.classes.items():
        qualities = one.before, one.after
        dice = (f"{quality.dice:.4f}" for quality in qualities)
        hd95 = (f"{quality.hd95_mm:.2f}" for quality in qualities)
        table.add_row(name, *dice, *hd95, str(one.steps))
    return table
