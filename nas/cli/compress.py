"""`segnas compress`: a trained network made smaller."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, note, print_wide, say
from nas.cli.evaluate import next_line
from nas.pareto.objectives import in_digits
from nas.report.plain_table import plain_table
from trainers.errors import UserError

if TYPE_CHECKING:
    from nas.export.export_folder import Export
    from search_spaces.space import Architecture

HELP = "make a trained network smaller, taught by itself: pruned, factorised, distilled, int8"
METHODS = ("prune", "low-rank", "distil", "quantise-aware")
OF = {"prune": ("heads", "neurons", "channels"), "low-rank": ("linear", "convolutions")}


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_export(command)
    command.add_argument(
        "--method",
        choices=METHODS,
        required=True,
        help="prune: leave out heads, neurons, channels; low-rank: two thin maps in place of one; "
        "distil: have it teach a --student; quantise-aware: train it for int8, which is smaller, "
        "and not always faster",
    )
    command.add_argument("--to", type=path, required=True, metavar="OUT2", help="a new folder")
    command.add_argument(
        "--keep",
        type=arguments.number("a share above 0, up to 1", lambda share: 0 < share <= 1),
        metavar="SHARE",
        help="prune: of every block's units; low-rank: of every map's weights (default: 0.5)",
    )
    command.add_argument(
        "--of",
        metavar="A,B",
        help="prune: some of heads, neurons, channels (default: heads,neurons, or channels of a "
        "network without them); low-rank: some of "
        "linear, convolutions (default: linear)",
    )
    command.add_argument(
        "--student", metavar="PRESET|OUT|FILE", help="the network that distil trains from scratch"
    )
    command.add_argument(
        "--steps",
        type=arguments.at_least(0),
        help="of fine-tuning (default: 300; of distil the whole schedule)",
    )
    command.add_argument(
        "--threads",
        type=arguments.positive,
        default=1,
        help="of the CPU, for latencies (default: 1)",
    )
    arguments.add_settings(command)
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    of = _of(options.method, options.of)
    if options.keep is not None and options.method not in OF:
        raise UserError(
            f"--keep with --method {options.method}, which removes no parts; leave it out"
        )
    from nas.export.compress.compress import compress
    from nas.export.compress.plan import Compression
    from nas.export.compress.unfinished import Unfinished
    from nas.export.export_folder import Export
    from nas.search.progress_bars import Bars
    from trainers.errors import TrainingDivergedError

    export = Export(options.out, options.settings)
    plan = Compression(
        method=options.method,
        keep=0.5 if options.keep is None else options.keep,
        of=of,
        student=_student(options.student, export),
        steps=options.steps,
        settings=tuple(options.settings),
        threads=options.threads,
    )
    try:
        with Bars(NOTES) as bars:
            record = compress(export, plan, options.to, bars.epoch, bars.count, note)
    except TrainingDivergedError as error:
        raise UserError(
            f"{options.out}: the training diverged: {error}. Nothing was written; lower "
            "train.learning_rate or train.clip"
        ) from error
    except KeyboardInterrupt:
        if (kept := Unfinished(options.to).folder).exists():
            note(f"{kept} keeps what was trained; the same command goes on")
        raise
    if options.json:
        print(json.dumps(record))
        return 0
    print_wide(figures_table(record["figures"]))
    say(f"{options.method}: {options.to}")
    say(next_line(Export(options.to)))
    return 0


def _of(method: str, told: str | None) -> tuple[str, ...]:
    """What is reduced, () for the usual. Raises UserError for what the method does not reduce."""
    known, words = OF.get(method, ()), () if told is None else tuple(told.split(","))
    if wrong := [word for word in words if word not in known]:
        expected = f"some of {', '.join(known)}" if known else "none: it reduces no parts"
        raise UserError(f"--of {wrong[0]} with --method {method}; expected {expected}")
    return words


def _student(name: str | None, export: Export) -> Architecture | None:
    if name is None:
        return None
    from nas.cli.network_argument import named_architecture
    from nas.export.export_folder import Export
    from search_spaces.fitting import misfit
    from search_spaces.space import axes_of

    student = named_architecture(name).with_axes(axes_of(export.architecture))
    patch = export.config.train.patch
    if patch == Export(export.folder).config.train.patch:  # or --set says another one
        patch = export.trained.patch
    if why := misfit(student, patch):  # one of the plane has no features to compare with a volume's
        raise UserError(
            f"--student {name} does not take the patches of {export.folder}, train.patch: {why}; "
            "choose another student"
        )
    return student


def figures_table(rows: Mapping[str, Any]) -> Table:
    """A row a network, the ratio to the first below the last."""
    table = plain_table([""], ["Dice", "parameters", "kB", "MMACs", "p50 ms"])
    for name, row in rows.items():
        table.add_row(name, *_cells(row))
    first, last = (list(rows.values())[place] for place in (0, -1))
    table.add_row("change", *_changes(first, last))
    return table


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield "-" if row["dice"] is None else f"{row['dice']:.4f}"
    if "params" not in row:
        return
    yield f"{row['params']:,}"
    yield f"{row['bytes'] / 1e3:,.1f}"
    yield f"{row['macs'] / 1e6:,.1f}"
    yield in_digits(row["latency_ms"], 4)


def _changes(first: Mapping[str, Any], last: Mapping[str, Any]) -> Iterator[str]:
    known = first["dice"] is not None and last["dice"] is not None
    yield f"{last['dice'] - first['dice']:+.4f}" if known else "-"
    for name in ("params", "bytes", "macs", "latency_ms"):
        yield f"{last[name] / first[name] - 1:+.1%}"
