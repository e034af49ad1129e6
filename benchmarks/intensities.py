"""Does the intensity of a preprocessing matter, and what does one wrong voxel do to it?

    python benchmarks/intensities.py FOLDER --groups '_(\\d+)' --patch 40 56 40 --spacing native
    python benchmarks/intensities.py FOLDER --patch 16 16 16 --steps 20 --seeds 1   # says nothing

`hybrid-s` is trained on the same split, by patient, with the same seeds and steps under each kind,
and validated as it is and once more with one voxel of each validation image set to 1e6: mean Dice
over the cases in the files' own voxels, and the range over the seeds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors
from search_spaces.registry import all_presets
from trainers.augment.config import Augment
from trainers.config import TrainConfig
from trainers.data.config import Groups, Preprocess, Split
from trainers.data.msd import MsdData
from trainers.data.prepare import prepare_data
from trainers.data.task import Task
from trainers.metrics import dice_per_class, mean_dice
from trainers.segmenter import Segmenter, SegmenterSpec
from trainers.trainer import Trainer
from trainers.volumes.nifti import load_labels

OUTLIER = 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = _options(arguments)
    torch.set_num_threads(1)
    table = Table(title=f"{options.folder.name}, {options.steps} steps, {options.seeds} seeds")
    for column in ("intensity", "Dice", "range", "with one voxel of 1e6", "range"):
        table.add_column(column, justify="left" if column == "intensity" else "right")
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kinds:
            found = [_train(options, kind, seed, Path(folder)) for seed in range(options.seeds)]
            row = []
            for dice in zip(*found, strict=True):
                row += [f"{statistics.mean(dice):.4f}", f"{min(dice):.4f}-{max(dice):.4f}"]
            table.add_row(kind, *row)
    Console(width=100).print(table)


def _train(options: argparse.Namespace, kind: str, seed: int, folder: Path) -> tuple[float, float]:
    """Mean Dice of the validation cases as they are, and with one wrong voxel each."""
    data = MsdData(
        path=options.folder,
        preprocess=Preprocess(
            spacing=options.spacing if len(options.spacing) == 3 else options.spacing[0],
            crop=options.crop,
            intensity=kind,
        ),
        split=Split(groups=Groups(pattern=options.groups, size=options.group_size)),
        cache=folder / "cache",
    )
    cache, cases = prepare_data(data, folder)
    train = TrainConfig(
        patch=options.patch,
        epochs=1,
        steps_per_epoch=options.steps,
        validate_every=1,
        learning_rate=8e-3,
        augment=Augment(),
    )
    task = Task.of(cache, train)
    torch.manual_seed(seed)
    network = all_presets()["hybrid-s"].build(task.channels, len(task.classes))
    trainer = Trainer(network, cache, cases, train, device=torch.device("cpu"), seed=seed)
    trainer.run_epoch()
    spec = SegmenterSpec(task=task, preprocess=data.preprocess, overlap=train.overlap)
    segmenter = Segmenter(network=trainer.network.eval(), spec=spec)
    scores = []
    for case in data.open(folder).cases:
        if case.name not in cases.validation:
            continue
        spoilt = folder / "spoilt.nii"
        _spoil(case.image, spoilt)
        truth = load_labels(case.label)
        scores.append(
            [
                dice_per_class(segmenter.segment(image), truth, len(task.classes))
                for image in (case.image, spoilt)
            ]
        )
    clean, wrong = (mean_dice(np.stack(side)) for side in zip(*scores, strict=True))
    return clean, wrong


def _spoil(image: Path, to: Path) -> None:
    """The image with one voxel, in its middle, of 1e6."""
    volume = nib.load(image)
    assert isinstance(volume, nib.Nifti1Image)
    values = np.asarray(volume.dataobj).astype(np.float32)
    values[tuple(n // 2 for n in values.shape)] = OUTLIER
    nib.save(nib.Nifti1Image(values, volume.affine), to)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="labelled volumes in the Decathlon's layout")
    parser.add_argument("--groups", default="(.*)", help="captures a patient in a case's name")
    parser.add_argument("--group-size", type=int, default=1)
    parser.add_argument("--patch", type=int, nargs=3, default=(40, 56, 40))
    parser.add_argument("--spacing", type=_spacing, nargs="+", default=["native"])
    parser.add_argument("--crop", default="none")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=["zscore", "robust"])
    return parser.parse_args(arguments)


def _spacing(text: str) -> str | float:
    return text if text in ("native", "median") else float(text)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
