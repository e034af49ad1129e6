"""`segnas retrain`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.evaluate import next_line
from nas.report.safe_console import SafeConsole, print_line
from trainers.counted import counted

if TYPE_CHECKING:
    from nas.export.export_folder import Export
    from nas.export.retrain import Plan, Retrained

HELP = "train an exported network on its whole schedule"
WORSE = 0.01  # Dice; seeds move it by less, and so does choosing the best of many


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_export(command)
    command.add_argument(
        "--from",
        dest="start",
        choices=("scratch", "trial", "inherited"),
        default="scratch",
        help="begin with new weights, with the trial's, or with those that the trial inherited "
        "from a supernet (default: scratch)",
    )
    command.add_argument(
        "--folds",
        type=arguments.at_least(2),
        default=0,
        metavar="N",
        help="cross-validate: train N networks, each without one part of the cases, and use their "
        "ensemble",
    )
    command.add_argument(
        "--teacher", type=path, metavar="OUT", help="learn from another exported network as well"
    )
    command.add_argument(
        "--workers",
        type=arguments.positive,
        default=1,
        metavar="N",
        help="train on N GPUs together, or N CPU processes where there are none (default: 1)",
    )
    arguments.add_address(command)
    arguments.add_settings(command)


def run(options: argparse.Namespace) -> int:
    from functools import partial

    from nas.export.export_folder import Export
    from nas.export.model_card import write_card
    from nas.export.retrain import Plan, check_plan, retrain
    from nas.search.progress_bars import Bars
    from nas.study.folder_lock import alone_in
    from trainers.errors import TrainingDivergedError, UserError

    export = Export(options.out, options.settings)
    plan = Plan(
        start=options.start,
        teacher=options.teacher,
        folds=options.folds,
        workers=options.workers,
    )
    check_plan(export, plan)
    placed = partial(write_card, export.folder)  # choosing postprocessing takes its time
    console = SafeConsole()
    try:
        with alone_in(export.folder, "network"), Bars(console) as bars:
            if options.workers == 1 and not options.address:
                done = retrain(export, plan, bars.epoch, bars.count, placed=placed)
            else:
                from nas.engine.data_parallel import data_parallel

                with data_parallel(options.workers, options.address, export.folder) as train:
                    done = retrain(export, plan, bars.epoch, bars.count, train, placed)
    except TrainingDivergedError as error:
        raise UserError(
            f"{export.folder}: the training diverged: {error}. Nothing was replaced; lower "
            "train.learning_rate or train.clip"
        ) from error
    write_card(export.folder)
    for line in _told(export, plan, done):
        print_line(console, line)
    return 0


def _worse(export: Export, done: Retrained) -> list[str]:
    """Where the weights that it had before were better on the same cases: a schedule that is too
    short looks like any."""
    from nas.export.export_folder import FOLDS, RETRAINED_WEIGHTS, Export

    if Export(export.folder).config.data.split != export.config.data.split:
        return []
    made, result = export.compression, export.result
    before = result.dice if result else None
    if made:
        before = made.get("figures", {}).get("compressed", {}).get("dice")
    if before is None or done.dice is None or done.dice > before - WORSE:
        return []
    worse = f"it had {before:.4f} on these cases: the new weights, which are in use now, are worse."
    longer = "Train it for longer (train.epochs)"
    if made:
        return [f"Once compressed {worse} {longer}, or compress the original again"]
    others = (export.folder / FOLDS).exists() and (export.folder / RETRAINED_WEIGHTS).exists()
    again = "" if others else f"; without {done.weights} those are used again"
    return [
        f"In the search {worse} {longer}, or begin with the trial's weights (--from trial){again}"
    ]


def _told(export: Export, plan: Plan, done: Retrained) -> list[str]:
    """What was written, how good it is, and what to do with it."""
    from nas.export.export_folder import Export
    from nas.pareto.result import class_dice
    from trainers.postprocess.choose import FEWEST

    first = done.outcomes[0]
    mean = "" if done.dice is None else f", validation Dice {done.dice:.4f}"
    if not plan.folds:
        lines = [f"{done.weights}: {counted(first.epochs, 'epoch')}{mean}"]
        if first.dice_per_class:
            dice = first.dice_per_class
            lines.append("  " + ", ".join(f"{name} {class_dice(dice, name)}" for name in dice))
        lines += _worse(export, done)
    else:
        spread = "" if done.spread is None else f" +- {done.spread:.4f} (standard deviation)"
        lines = [
            f"{done.weights}: {plan.folds} folds of {counted(first.epochs, 'epoch')}{mean}{spread}"
        ]
        lines += [
            f"  fold {number}: Dice {outcome.dice:.4f}"
            for number, outcome in enumerate(done.outcomes, start=1)
            if outcome.dice is not None
        ]
        lines.append("In use from now on: the mean of the folds' probabilities.")
    if done.postprocess:
        steps, few = done.postprocess.steps, len(done.postprocess.cases) < FEWEST
        none = f"none on fewer than {FEWEST} cases" if few else "none, for nothing helped"
        each = "; ".join(f"{name}: {one}" for name, one in steps.items())
        lines.append(f"postprocessing: {each or none}")
    lines.append(next_line(Export(export.folder)))
    return lines
