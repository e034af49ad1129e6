"""`segnas deploy`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.table import Table

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import note, print_wide, say
from nas.pareto.objectives import in_digits
from nas.report.plain_table import plain_table
from search_spaces.axes import by_axis
from trainers.counted import counted
from trainers.errors import UserError

if TYPE_CHECKING:
    from nas.export.deploy.parity_check import CheckCase
    from nas.export.deploy.record import Checks, Deployment
    from nas.export.export_folder import Export

HELP = "write an exported network as a file that runs without segnas, checked"
FORMATS = ("bundle", "onnx", "torch-export", "torchscript")
PRECISIONS = ("fp32", "fp16", "int8")


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "outs",
        type=path,
        nargs="+",
        metavar="OUT",
        help="an exported folder; of several, the ensemble is written",
    )
    command.add_argument("--format", choices=FORMATS, required=True, help="what is written")
    command.add_argument("--precision", choices=PRECISIONS, default="fp32", help="default: fp32")
    command.add_argument("--to", type=path, required=True, help="a new folder")
    command.add_argument(
        "--check-images", type=path, metavar="FOLDER", help="in place of the validation cases"
    )
    command.add_argument("--labels", type=path, metavar="FOLDER", help="those of --check-images")
    command.add_argument(
        "--cases",
        type=arguments.positive,
        default=4,
        help="to check on, at most, and of int8 to calibrate on (default: 4)",
    )
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.export.deploy.deploy import Source, deploy
    from nas.export.deploy.parity_check import export_cases, folder_cases
    from nas.export.export_folder import Export

    if options.labels and not options.check_images:
        raise UserError("--labels goes with --check-images; give both, or neither")
    exports = [Export(out) for out in options.outs]
    export = exports[0]
    if options.check_images:
        config = export.config
        cases = folder_cases(
            options.check_images,
            options.labels,
            options.cases,
            config.task,
            config.data.preprocess.affine,
        )
    else:
        cases = export_cases(export, options.cases)
    source = Source.of(*exports)
    weights = " and ".join(str(export.weights) for export in exports)
    note(f"using the {source.weights} weights: {weights}")
    how = options.format, options.precision
    ranges = _training_cases(export, options.cases) if options.precision == "int8" else []
    record = deploy(source, cases, *how, options.to, progress=note, calibrate_on=ranges)
    if options.json:
        print(record.model_dump_json())
    else:
        print_wide(deployment_table(record))
        say(agreement(record))
        say(f"{record.format} {record.precision} in {options.to}")
    return 0


def _training_cases(export: Export, most: int) -> list[CheckCase]:
    """Of which int8 takes its ranges; none where the export's own data are gone."""
    from nas.export.deploy.parity_check import export_cases

    try:
        return export_cases(export, most, "training")
    except UserError as error:
        note(f"int8 takes its ranges from the cases that it is checked on: {error}")
        return []


def deployment_table(record: Deployment) -> Table:
    """PyTorch's and the deployed network's Dice and latency."""
    checks = record.checks
    table = plain_table([""], ["Dice", "p50 ms", "p99 ms"])
    names = ("pytorch", "PyTorch fp32"), ("deployed", f"{record.format} {record.precision}")
    for (key, name), dice in zip(names, (checks.dice_pytorch, checks.dice), strict=True):
        times = record.latency[key]
        table.add_row(
            name,
            "-" if dice is None else f"{dice:.4f}",
            in_digits(times["p50_ms"], 4),
            in_digits(times["p99_ms"], 4),
        )
    return table


def agreement(record: Deployment) -> str:
    """How far the deployed network is from PyTorch's, and which inputs it takes, in words."""
    checks, dynamic = record.checks, record.dynamic
    takes = "any batch" if dynamic.batch else "one window at a time"
    sizes = f"multiples of {by_axis(dynamic.strides)}" if dynamic.sizes else "this patch alone"
    return (
        f"{counted(len(checks.cases), 'case')}: logits differ by {checks.max_difference:.2g} "
        f"at most (largest {checks.largest:.3g}), "
        f"segmentations agree with Dice {checks.agreement:.4f}; "
        f"takes {takes}, {sizes}{_seen(checks)}"
    )


def _seen(checks: Checks) -> str:
    from nas.cli.evaluation_table import seen_line

    learnt = checks.learnt if checks.dice is not None else 0
    told = seen_line(learnt, 0, len(checks.cases))
    return f"; {told}" if told else ""
