"""Segmenting and scoring whole folders of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trainers.data.check import check_dataset
from trainers.data.msd import Case, Dataset, find_volumes
from trainers.data.nifti import open_nifti, save_segmentation
from trainers.errors import UserError
from trainers.metrics import class_means, dice_per_class, mean_dice
from trainers.offers import take_measured
from trainers.segmenter import Segmenter

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Evaluation:
    """Dice in the files' own voxels.

    `dice`: mean foreground Dice over the cases. A class that is in neither segmentation of a case
    is None there and does not count. `measured`: what the network told of itself over all cases;
    see `take_measured`.
    """

    dice: float
    dice_per_class: Mapping[str, float | None]
    cases: Mapping[str, Mapping[str, float | None]]
    measured: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values."""
        return asdict(self)


def evaluate_folder(
    segmenter: Segmenter, images: Path, labels: Path, progress: Progress | None = None
) -> Evaluation:
    """Segment every image of a folder and compare it with the label of the same name.

    Labels without an image are not asked for. Raises UserError, listing all of them, for images
    that cannot be used: without a label, of another geometry, unreadable.
    """
    truths = find_volumes(labels)
    cases = tuple(
        Case(name, image, truths.get(name, labels / image.name))
        for name, image in _some_volumes(images).items()
    )
    modalities = tuple(map(str, range(segmenter.channels)))
    check_dataset(Dataset("evaluation", images, modalities, segmenter.classes, cases))
    scores = []
    take_measured(segmenter.network)  # of passes before these
    for done, case in enumerate(cases, start=1):
        truth = np.asarray(open_nifti(case.label).dataobj)
        predicted = segmenter.segment(case.image)
        scores.append(
            dice_per_class(predicted, truth.reshape(predicted.shape), len(segmenter.classes))
        )
        if progress:
            progress(done, len(cases), "evaluated")
    names, classes = [case.name for case in cases], segmenter.classes[1:]
    return _summary(names, np.stack(scores), classes, take_measured(segmenter.network))


def predict_folder(
    segmenter: Segmenter, images: Path, to: Path, progress: Progress | None = None
) -> list[Path]:
    """Segment every image of a folder into a NIfTI file of its name in `to`, in its geometry."""
    if to.resolve() == images.resolve():
        raise UserError(
            f"{to} holds the images; segmentations of the same names need another folder"
        )
    written = []
    volumes = _some_volumes(images)
    for done, image in enumerate(volumes.values(), start=1):
        save_segmentation(segmenter.segment(image), like=image, to=to / image.name)
        written.append(to / image.name)
        if progress:
            progress(done, len(volumes), "segmented")
    return written


def _some_volumes(folder: Path) -> dict[str, Path]:
    volumes = find_volumes(folder)
    if not volumes:
        raise UserError(f"{folder} has no .nii or .nii.gz file")
    return volumes


def _summary(
    names: Sequence[str],
    scores: np.ndarray,
    classes: Sequence[str],
    measured: Mapping[str, float],
) -> Evaluation:
    cases = {
        name: {"dice": _known(mean_dice(row[None])), **_by_class(classes, row)}
        for name, row in zip(names, scores, strict=True)
    }
    means = _by_class(classes, class_means(scores))
    return Evaluation(mean_dice(scores), means, cases, measured)


def _by_class(classes: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    return {name: _known(float(value)) for name, value in zip(classes, values, strict=True)}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
