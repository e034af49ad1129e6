"""`segnas check`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, note, print_wide
from nas.cli.planning import search_name
from trainers.errors import UserError

if TYPE_CHECKING:
    from trainers.data.check.finding import Finding
    from trainers.data.source import DataSource, SourceConfig
    from trainers.data.splits import Cases

HELP = "look at a dataset: sizes, classes, and what is wrong or doubtful, without a search"
MOST = 100


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "data",
        type=path,
        metavar="DATA",
        help=f"{arguments.DATA}; or the YAML file of a search: its split is looked at too",
    )
    command.add_argument(
        "--dir",
        type=path,
        help="of a YAML file: the search's folder, which keeps what was read (default: runs/NAME)",
    )
    command.add_argument(
        "--sheet", type=path, metavar="FILE.png", help="draw slices of the cases with their labels"
    )
    command.add_argument(
        "--cases",
        type=arguments.positive,
        default=MOST,
        metavar="N",
        help=f"on the sheet, at most, evenly chosen (default: {MOST})",
    )
    arguments.add_settings(command)
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    """`segnas check DATA`. Returns 1 where a search would refuse the data."""
    if options.sheet:
        _check_sheet(options.sheet)
    from trainers.data.folder_source import is_data
    from trainers.data.open_source import open_source

    config, workdir = _config(options)
    source = open_source(config, workdir)

    from nas.cli.check_tables import DataReport, report_tables, verdict_line
    from nas.search.progress_bars import Bars
    from trainers.data.build_cache import unfinished
    from trainers.data.check import examine
    from trainers.data.check.parts import check_parts
    from trainers.data.source_split import patients, split_source

    found = patients(source, config.split)
    finished = None
    if is_data(options.data):
        split, unsplit = _planned_split(source)
    else:
        unsplit = []
        split = split_source(source, config.split)
        finished = unfinished(source, config.preprocess, config.cache_folder(workdir))
    with Bars(NOTES) as bars:
        check = examine(source, bars.count, config.preprocess.affine, finished=finished)
        if finished and any(one.fault for one in check.findings):
            shutil.rmtree(finished)  # these files will be mended
        between = check_parts(check.cases, source.targets, split)
        findings = (*check.findings, *between, *unsplit)
        report = DataReport(source, check.cases, findings, split, len(found) if found else None)
        if options.sheet:
            from nas.report.contact_sheet import write_sheet

            written = write_sheet(
                options.sheet, source, report.findings, config.preprocess, options.cases, bars.count
            )
            note(f"wrote {written} of {len(source.cases)} cases to {options.sheet}")
    if options.json:
        print(json.dumps(report.to_json()))
    else:
        for table in report_tables(report):
            print_wide(table)
        if found is None and not (isinstance(config.split, Path) or report.faults):
            _suggest_groups([case.name for case in source.cases])
        print_wide(verdict_line(report))
    return 1 if report.faults else 0


def _planned_split(source: DataSource) -> tuple[Cases | None, list[Finding]]:
    """The split of a search that is planned for these data, where they bring it, and what is wrong
    where none can be drawn."""
    from nas.analysis.plan.split import own_or_drawn
    from trainers.data.check.finding import Finding, Kind
    from trainers.data.source_split import split_source

    try:
        own, *_ = own_or_drawn(source)
    except UserError as error:
        return None, [Finding(case=None, kind=Kind.SPLIT, message=str(error))]
    return (split_source(source, own.value) if own else None), []


def _suggest_groups(names: Sequence[str]) -> None:
    """Where names look as if patients had several cases, which belong into one part."""
    from nas.analysis.plan.groups import choose_groups

    choice = choose_groups(names)
    if choice.value:
        note(f"{choice.why}, with data.split.groups: {{pattern: '{choice.value.pattern}'}}")


def _check_sheet(file: Path) -> None:
    """Before hours of reading. Raises UserError where no PNG can be written there."""
    if file.suffix.lower() != ".png":
        raise UserError(f"--sheet {file}: expected a file that ends in .png")
    if not file.parent.is_dir():
        raise UserError(f"--sheet {file}: {file.parent} is no folder")
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        what = "a folder" if file.is_dir() else f"{file.parent} cannot be written to"
        raise UserError(f"--sheet {file}: {what}; give another file")


def _config(options: argparse.Namespace) -> tuple[SourceConfig, Path]:
    """What says where the cases are, and the folder for what it makes."""
    from trainers.data.folder_source import check_no_data, is_data, source_of

    if is_data(options.data):
        if options.settings or options.dir:
            what = "a folder" if options.data.is_dir() else "a list of cases"
            raise UserError(
                f"{options.data} is {what}; --set and --dir go with the YAML file of a search"
            )
        workdir = Path("runs") / search_name(options.data)
        return source_of(options.data, workdir), workdir
    if not options.data.exists():
        raise UserError(
            f"{options.data} is missing; expected a folder with dataset.json, a list of cases, or "
            "the YAML file of a search"
        )
    check_no_data(options.data)
    from nas.config.run_config import RunConfig
    from nas.config.yaml_file import read_config

    config = read_config(RunConfig, options.data, options.settings)
    return config.data, options.dir or Path("runs") / config.name
