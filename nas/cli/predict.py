"""`segnas predict`."""

from __future__ import annotations

import argparse

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import NOTES, note, say
from trainers.counted import counted

HELP = "segment images with an exported or deployed network, or several"


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_segmenters(command)
    command.add_argument(
        "--images",
        type=path,
        required=True,
        metavar="PATH",
        help="an image (NIfTI, NRRD, MetaImage or picture), a folder of them, or a folder of DICOM "
        "series",
    )
    command.add_argument("--to", type=path, required=True, help="folder for the segmentations")
    command.add_argument(
        "--format",
        choices=("nifti", "dicom-seg"),
        help="of the segmentations (default: the format of the image; dicom-seg for DICOM)",
    )
    command.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out cases whose segmentation is there, to go on after an interruption",
    )
    arguments.add_raw(command)
    command.add_argument(
        "--save-probabilities",
        action="store_true",
        help="beside each segmentation, those of every class or region as CASE_probabilities.nii",
    )


def run(options: argparse.Namespace) -> int:
    """Run `segnas predict`. Returns 1 where a case could not be segmented."""
    from nas.export.deploy.open_segmenter import open_segmenter
    from nas.search.progress_bars import Bars
    from trainers.predict import predict_folder

    segmenter, used = open_segmenter(*options.dirs, raw=options.raw)
    note(f"using the {used}")
    with Bars(NOTES) as bars:
        done = predict_folder(
            segmenter,
            options.images,
            options.to,
            bars.count,
            format=options.format,
            skip_existing=options.skip_existing,
            probabilities=options.save_probabilities,
        )
    existing = f"; {len(done.skipped):,} already there" if done.skipped else ""
    say(f"{counted(len(done.written), 'segmentation')} in {options.to}{existing}")
    if done.failed:
        note(f"{counted(len(done.failed), 'case')} could not be segmented:")
        for name, reason in done.failed.items():
            note(f"  {name}  {reason}")
    return 1 if done.failed else 0
