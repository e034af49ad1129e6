"""Segmenting and scoring a folder of labelled images."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from nibabel.orientations import io_orientation

from trainers.bootstrap import Mean, mean_with_interval
from trainers.data.check import Progress, check_dataset
from trainers.data.dataset import Dataset
from trainers.data.dicom_pairs import write_pairs
from trainers.data.names import check_unique
from trainers.data.source import Case
from trainers.data.task import Task
from trainers.data.volume_folder import VOLUMES, find_images, find_volumes, is_dicom
from trainers.errors import UserError, listed
from trainers.metric_names import METRICS
from trainers.metrics import (
    case_means,
    class_means,
    dice_of_pairs,
    iou_from_dice,
    label_pairs,
    mean_dice,
    rates_of_pairs,
)
from trainers.segmenter import ImageSegmenter
from trainers.spreadsheet import cell
from trainers.surface import surface_per_class
from trainers.volumes.files import ending_of, files_of
from trainers.volumes.geometry import voxel_sizes
from trainers.volumes.nifti import affine_of, load_labels, mended_before, open_volume
from trainers.volumes.settings import AffineRule
from trainers.volumes.targets import Targets

SHOWN = 5  # labels without an image


@dataclass(frozen=True)
class Score:
    """One class of one case. None where a metric is undefined; see `surface_per_class` and
    `rates_of_pairs`."""

    case: str
    label: str
    dice: float | None
    iou: float | None
    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None
    hd_mm: float | None
    sensitivity: float | None
    specificity: float | None
    accuracy: float | None


@dataclass(frozen=True)
class CaseDice:
    """A case's mean Dice over its classes, and that of each; None where it is undefined."""

    dice: float | None
    dice_per_class: Mapping[str, float | None]


@dataclass(frozen=True)
class Speed:
    """How fast cases were segmented, from reading the image's file to labels on its voxels.

    Scoring is not in it. Frames are axial slices of the files.
    """

    seconds: float
    volumes_per_second: float
    frames_per_second: float


@dataclass(frozen=True)
class Evaluation:
    """Overlap and surface distance in the files' own voxels and millimetres.

    A class is a region where the network has these: the union of its labels. Voxels that the label
    ignores count nowhere; to distances they are background in both segmentations. `dice`: mean
    foreground Dice over the cases, None where none has a class. A class that is in neither
    segmentation of a case is None there and does not count. `means[label][metric]` have intervals
    by bootstrap over the cases; `foreground[metric]` is the mean over cases of the mean over a
    case's classes. `one_sided[label]`: in how many cases one segmentation has the class and the
    other has not; their Dice, IoU and NSD are 0 and count, their distances do not exist.
    `measured`: the network's own metrics over all cases; see `trainers.offers`.
    """

    dice: float | None
    dice_per_class: Mapping[str, float | None]
    cases: Mapping[str, CaseDice]
    scores: Sequence[Score]
    means: Mapping[str, Mapping[str, Mean]]
    foreground: Mapping[str, Mean]
    one_sided: Mapping[str, int]
    tolerance_mm: float
    speed: Speed
    measured: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values."""
        return asdict(self)

    def to_csv(self) -> str:
        """A row for each case and class; undefined metrics are empty."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("case", "class", *METRICS))
        table.writerows(map(cell, asdict(score).values()) for score in self.scores)
        return text.getvalue()


def evaluate_folder(
    segmenter: ImageSegmenter,
    images: Path,
    labels: Path,
    progress: Progress | None = None,
    tolerance: float = 1.0,
) -> Evaluation:
    """Segment every image of a folder and compare it with the label of the same name.

    Of a folder of DICOM, every series that a SEG or RTSTRUCT below `labels` refers to. tolerance:
    mm, of the normalised surface Dice. Labels without an image are ignored. Raises one
    UserError that lists all images which cannot be used: without a label, of another geometry than
    theirs, unreadable; where labels are missing, also those without an image.
    """
    for file in (images, labels):
        if file.is_file():
            raise UserError(
                f"{file} is a file; expected a folder: put the image into one, and its label into "
                "another, under the same name"
            )
    _check_classes(segmenter)
    with _as_volumes(images, labels, segmenter.task) as folders:
        cases = labelled_cases(*folders, segmenter.task, segmenter.affine)
        return _evaluate(segmenter, cases, progress, tolerance)


def evaluate_cases(
    segmenter: ImageSegmenter,
    cases: Sequence[Case],
    folder: Path,
    progress: Progress | None = None,
    tolerance: float = 1.0,
) -> Evaluation:
    """Segment the cases of a source and compare them with their labels, as `evaluate_folder` does.

    folder: where they lie, for messages. Raises UserError as it does.
    """
    _check_classes(segmenter)
    _check_files(folder, cases, segmenter.task, segmenter.affine)
    return _evaluate(segmenter, cases, progress, tolerance)


def _check_classes(segmenter: ImageSegmenter) -> None:
    names = [one.name for one in segmenter.task.targets.channels]
    check_unique(names, "class", "the network")


@contextmanager
def _as_volumes(images: Path, labels: Path, task: Task) -> Iterator[tuple[Path, Path]]:
    """Folders of volumes: these, or what is made of DICOM in them for as long as it is needed."""
    if not is_dicom(images):
        yield images, labels
        return
    check_outlined(images, task)
    with TemporaryDirectory(prefix="segnas-") as folder:
        write_pairs(images, labels, task.classes, Path(folder))
        yield Path(folder, "images"), Path(folder, "labels")


def _evaluate(
    segmenter: ImageSegmenter, cases: Sequence[Case], progress: Progress | None, tolerance: float
) -> Evaluation:
    targets = segmenter.task.targets
    scores, frames, seconds = [], 0, 0.0
    segmenter.pop_metrics()  # of passes before these
    for done, case in enumerate(cases, start=1):
        with mended_before():
            started = perf_counter()
            predicted = segmenter.segment(case.image)
            seconds += perf_counter() - started
            affine = affine_of(open_volume(case.image), segmenter.affine)
            truth, sizes = load_labels(case.label), voxel_sizes(affine)
        frames += _axial_slices(predicted.shape, affine)
        scores.append(_case_scores(predicted, truth, targets, sizes, tolerance))
        if progress:
            progress(done, len(cases), "evaluated")
    speed = Speed(seconds, len(cases) / seconds, frames / seconds)
    names, measured = [case.name for case in cases], segmenter.pop_metrics()
    return _evaluation(names, np.stack(scores), targets.names, tolerance, speed, measured)


def check_outlined(images: Path, task: Task) -> None:
    """Raise UserError where what is outlined in DICOM cannot be told from what does not count."""
    if task.ignore is not None:
        raise UserError(
            f"{images} is DICOM, and the network ignores what has the number {task.ignore}, which "
            "has no name that outlines could have; expected images and labels in NIfTI, or a part "
            "of its own data (--part)"
        )


def labelled_cases(
    images: Path, labels: Path, task: Task, rule: AffineRule = "sform"
) -> tuple[Case, ...]:
    """Every image of a folder with the label of the same name, checked.

    rule: which affine of a header counts. Raises UserError as `evaluate_folder` does.
    """
    truths = find_volumes(labels)
    volumes = find_images(images, task.channels, truths)
    if not volumes:
        raise UserError(f"{images} has no {VOLUMES}; expected images to evaluate on")
    cases = tuple(
        Case(name, image, truths.get(name, labels / (name + ending_of(files_of(image)[0]))))
        for name, image in volumes.items()
    )
    others = [file.name for name, file in truths.items() if name not in volumes]
    try:
        _check_files(images, cases, task, rule)
    except UserError as error:
        if others and any(name not in truths for name in volumes):  # one may be misnamed
            unmatched = f"In {labels} without an image of their name: {listed(others, SHOWN)}"
            raise UserError(f"{error}\n{unmatched}") from error
        raise
    return cases


def _check_files(folder: Path, cases: Sequence[Case], task: Task, rule: AffineRule) -> None:
    modalities = tuple(map(str, range(task.channels)))
    dataset = Dataset(folder, modalities, task.classes, tuple(cases), ignore=task.ignore)
    check_dataset(dataset, rule=rule, expecting="the network")


def _axial_slices(shape: Sequence[int], affine: np.ndarray) -> int:
    return shape[list(io_orientation(affine)[:, 0]).index(2)]


def _case_scores(
    predicted: np.ndarray,
    truth: np.ndarray,
    targets: Targets,
    spacing: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """(scored, METRICS)."""
    pair = counted = targets.without_ignored(predicted, truth)
    if targets.ignore is not None:
        counts = truth != targets.ignore
        counted = predicted[counts], truth[counts]
    classes, groups = len(targets.classes), targets.groups
    pairs = label_pairs(*counted, classes)
    dice, rates = dice_of_pairs(pairs, groups), rates_of_pairs(pairs, groups)
    surface = surface_per_class(*pair, classes, spacing, tolerance, groups)
    return np.column_stack([dice, iou_from_dice(dice), surface, rates])


def _evaluation(
    names: Sequence[str],
    scores: np.ndarray,
    classes: Sequence[str],
    tolerance: float,
    speed: Speed,
    measured: Mapping[str, float],
) -> Evaluation:
    """scores: (cases, classes, METRICS), of what is scored."""
    dice, hd95 = scores[..., 0], scores[..., 2]
    one_sided = (~np.isnan(dice) & np.isnan(hd95)).sum(axis=0)
    foreground = [case_means(scores[..., metric]) for metric in range(len(METRICS))]
    return Evaluation(
        dice=_known(mean_dice(dice)),
        dice_per_class=_by_class(classes, class_means(dice)),
        cases={
            name: CaseDice(_known(mean_dice(row[None])), _by_class(classes, row))
            for name, row in zip(names, dice, strict=True)
        },
        scores=tuple(
            Score(case, label, *map(_known, values))
            for case, rows in zip(names, scores, strict=True)
            for label, values in zip(classes, rows, strict=True)
        ),
        means={name: _means(scores[:, index].T) for index, name in enumerate(classes)},
        foreground=_means(foreground),
        one_sided={name: int(count) for name, count in zip(classes, one_sided, strict=True)},
        tolerance_mm=tolerance,
        speed=speed,
        measured=measured,
    )


def _means(values: Iterable[np.ndarray]) -> dict[str, Mean]:
    return dict(zip(METRICS, map(mean_with_interval, values), strict=True))


def _by_class(classes: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    return {name: _known(value) for name, value in zip(classes, values, strict=True)}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
