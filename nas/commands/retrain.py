"""`segnas retrain`."""

from __future__ import annotations

import argparse

from rich.console import Console

from nas.commands import arguments

HELP = "train an exported network on its whole schedule"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of `segnas retrain`."""
    arguments.add_export(command)
    arguments.add_settings(command)


def run(options: argparse.Namespace) -> int:
    """Run `segnas retrain`."""
    from nas.exported import Export
    from nas.progress import Bars
    from nas.retrain import retrain

    export = Export(options.out, options.settings)
    console = Console()
    with Bars(console) as bars:
        last = retrain(export, bars.epoch, bars.count)
    dice = "" if last.dice is None else f", validation Dice {last.dice:.4f}"
    console.print(f"{export.weights}: {last.epoch} epochs{dice}", highlight=False)
    return 0
