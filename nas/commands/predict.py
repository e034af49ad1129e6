"""`segnas predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.commands import arguments
from nas.commands.printing import NOTES, note

HELP = "segment images with an exported network"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of `segnas predict`."""
    arguments.add_export(command)
    command.add_argument("--images", type=Path, required=True, help="folder of NIfTI images")
    command.add_argument("--to", type=Path, required=True, help="folder for the segmentations")


def run(options: argparse.Namespace) -> int:
    """Run `segnas predict`."""
    from nas.exported import Export
    from nas.progress import Bars
    from trainers.evaluate import predict_folder

    export = Export(options.out)
    note(f"using the {export.weights.stem} weights: {export.weights}")
    with Bars(NOTES) as bars:
        written = predict_folder(export.segmenter(), options.images, options.to, bars.count)
    print(f"{len(written)} segmentations in {options.to}")
    return 0
