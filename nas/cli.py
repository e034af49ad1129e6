"""The `segnas` command."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.commands import arguments, catalogue
from nas.commands import latency as latency_command
from nas.commands import search as search_command
from nas.commands.preview import add_arguments as add_preview_arguments
from nas.commands.preview import show_preview
from search_spaces.space import ArchitectureError
from trainers.errors import UserError

# Machine-readable output is all that standard output ever gets besides a command's own report.
NOTES = Console(stderr=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 not done, 2 bad input, 130 interrupted."""
    options = _parser().parse_args(arguments)
    warnings.showwarning = _show_warning
    try:
        return options.run(options)
    except (UserError, ArchitectureError) as error:
        NOTES.print(f"[bold red]error:[/] {_plain(error)}", highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        NOTES.print("interrupted")
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="segnas",
        description="Find small, fast 3D medical segmentation networks for your data and device.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    def option_set(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--set",
            dest="settings",
            metavar="KEY=VALUE",
            action="append",
            default=[],
            help="change a key of the configuration, such as train.epochs=3; may be repeated",
        )

    def option_json(command: argparse.ArgumentParser) -> None:
        command.add_argument("--json", action="store_true", help="print one JSON object")

    search = command("search", search_command.search, "search architectures on a dataset")
    search_command.add_arguments(search)
    option_set(search)

    sync = command("sync", search_command.sync, "send MLflow what a search could not")
    sync.add_argument("dir", type=Path, metavar="DIR", help="the search's folder")

    front = command("front", _front, "show the Pareto front of a search")
    front.add_argument("dir", type=Path, metavar="DIR", help="the search's folder")
    option_json(front)

    export = command("export", _export, "turn a front member into a folder to retrain and use")
    export.add_argument("dir", type=Path, metavar="DIR", help="the search's folder")
    export.add_argument(
        "--pick",
        required=True,
        metavar="KEY|best-dice|knee|smallest",
        help="which member; the start of a key is enough",
    )
    export.add_argument("--to", type=Path, required=True, metavar="OUT", help="a new folder")

    retrain = command("retrain", _retrain, "train an exported network on its whole schedule")
    retrain.add_argument("out", type=Path, metavar="OUT", help="an exported folder")
    option_set(retrain)

    evaluate = command("evaluate", _evaluate, "score an exported network on labelled images")
    evaluate.add_argument("out", type=Path, metavar="OUT", help="an exported folder")
    evaluate.add_argument("--images", type=Path, required=True, help="folder of NIfTI images")
    evaluate.add_argument("--labels", type=Path, required=True, help="folder of their labels")
    option_json(evaluate)

    predict = command("predict", _predict, "segment images with an exported network")
    predict.add_argument("out", type=Path, metavar="OUT", help="an exported folder")
    predict.add_argument("--images", type=Path, required=True, help="folder of NIfTI images")
    predict.add_argument("--to", type=Path, required=True, help="folder for the segmentations")

    redundancy = command(
        "redundancy",
        _redundancy,
        "find the transformer layers of a network that do little",
    )
    redundancy.add_argument("out", type=Path, metavar="DIR", help="an exported folder")
    redundancy.add_argument("--data", type=Path, required=True, help="folder of NIfTI images")
    redundancy.add_argument("--to", type=Path, metavar="OUT", help="default: DIR/redundancy")
    redundancy.add_argument(
        "--prune",
        type=int,
        metavar="N",
        help="how many mixers and MLPs the proposal does without (default: about a quarter)",
    )
    redundancy.add_argument(
        "--output",
        choices=("residual", "branch"),
        default="residual",
        help="the output of a mixer or MLP with its residual, or alone (default: residual)",
    )
    option_json(redundancy)

    preview = command(
        "preview",
        show_preview,
        "see what a search will meet: costs, budget, knobs and hours",
    )
    add_preview_arguments(preview)
    option_set(preview)
    option_json(preview)

    cost = command(
        "cost", catalogue.show_cost, "count the parameters, work and memory of a network"
    )
    arguments.add_network(cost)
    arguments.add_training(cost)
    ways = cost.add_mutually_exclusive_group()
    ways.add_argument(
        "--convention",
        choices=("true", "published"),
        default="true",
        help="published: also as the paper behind the network's space counts",
    )
    ways.add_argument(
        "--audit",
        choices=("modules", "types"),
        nargs="?",
        const="modules",
        help="thop's count and torch's, by module or by type of module",
    )
    option_json(cost)

    latency = command("latency", latency_command.show_latency, "measure how long a network takes")
    arguments.add_network(latency)
    latency_command.add_arguments(latency)
    option_json(latency)

    spaces = command(
        "spaces", catalogue.show_spaces, "list the search spaces, or the choices of one"
    )
    spaces.add_argument("space", nargs="?", metavar="SPACE", help="show this one in full")
    option_json(spaces)

    presets = command("presets", catalogue.show_presets, "list the named networks of the spaces")
    presets.add_argument("--space", help="those of one space")
    presets.add_argument(
        "--input", type=arguments.shape, metavar="CxDxHxW", help="count the MACs for it, too"
    )
    presets.add_argument(
        "--classes", type=arguments.positive, default=4, help="output channels (default: 4)"
    )
    option_json(presets)
    return parser


def _front(options: argparse.Namespace) -> int:
    from nas.front_files import front_json, read_front
    from nas.terminal import front_table

    members, objectives = read_front(options.dir)
    if options.json:
        print(json.dumps(front_json(members, objectives)))
    else:
        Console().print(front_table(members))
    return 0


def _export(options: argparse.Namespace) -> int:
    from nas.config import RunConfig
    from nas.config_file import read_config
    from nas.export import pick, write_export
    from nas.front_files import read_front

    members, objectives = read_front(options.dir)
    config = read_config(RunConfig, options.dir / "config.yaml")
    member = pick(members, options.pick, objectives)
    write_export(options.dir, config, member, options.to)
    print(f"{options.to}: {member.key}, Dice {member.dice:.4f}, {member.params:,} parameters")
    print(f"next: segnas retrain {options.to}")
    return 0


def _retrain(options: argparse.Namespace) -> int:
    from nas.export import Export
    from nas.progress import Bars
    from nas.retrain import retrain

    export = Export(options.out, options.settings)
    console = Console()
    with Bars(console) as bars:
        last = retrain(export, bars.epoch, bars.count)
    dice = "" if last.dice is None else f", validation Dice {last.dice:.4f}"
    console.print(f"{export.weights}: {last.epoch} epochs{dice}", highlight=False)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from nas.commands.evaluation_table import evaluation_table, measured_line
    from nas.export import Export
    from nas.measured import macs_measured
    from nas.progress import Bars
    from trainers.evaluate import evaluate_folder

    export = Export(options.out)
    _say_weights(export)
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


def _predict(options: argparse.Namespace) -> int:
    from nas.export import Export
    from nas.progress import Bars
    from trainers.evaluate import predict_folder

    export = Export(options.out)
    _say_weights(export)
    with Bars(NOTES) as bars:
        written = predict_folder(export.segmenter(), options.images, options.to, bars.count)
    print(f"{len(written)} segmentations in {options.to}")
    return 0


def _redundancy(options: argparse.Namespace) -> int:
    from nas.export import Export
    from nas.progress import Bars
    from nas.redundancy import print_report, redundancy_report, target, write_report

    export = Export(options.out)
    to = target(options.out, options.to)
    _say_weights(export)
    with Bars(NOTES) as bars:
        report = redundancy_report(export, options.data, options.prune, options.output, bars.count)
    written = write_report(report, to)
    if options.json:
        print(json.dumps(report.to_json()))
    else:
        print_report(report, written, Console())
    return 0


def _say_weights(export: Any) -> None:
    NOTES.print(f"using the {export.weights.stem} weights: {export.weights}", highlight=False)


def _plain(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error))


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        NOTES.print(f"[yellow]warning:[/] {_plain(Exception(message))}", highlight=False)
