"""A deployed network beside PyTorch's on whole cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.transforms import ResizeWithPadOrCrop
from torch import nn

from nas.export.deploy.errors import DeployError
from nas.export.deploy.record import Checks, Precision
from nas.export.export_folder import Export
from nas.pareto.result import known
from trainers.data.check import check_dataset
from trainers.data.dataset import Dataset
from trainers.data.source import Case
from trainers.data.source_split import split_source
from trainers.data.task import Task
from trainers.data.volume_folder import VOLUMES, find_images, find_volumes
from trainers.errors import UserError
from trainers.metrics import dice_per_class, mean_dice
from trainers.segmenter import Segmenter
from trainers.single_image import onednn_for_single_images
from trainers.volumes.files import Image
from trainers.volumes.labels import label_type
from trainers.volumes.preprocess import Prepared, prepare_label
from trainers.volumes.segment import check_logits
from trainers.volumes.settings import AffineRule

DICE_TOLERANCE = {"fp32": 0.001, "fp16": 0.001, "int8": 0.01}
LOGIT_TOLERANCE = 1e-3  # in float32, relative to the largest logit


@dataclass(frozen=True)
class CheckCase:
    """An image, and its label where there is one."""

    name: str
    image: Image
    label: Path | None


def export_cases(export: Export, most: int, part: str = "validation") -> list[CheckCase]:
    """The first cases of a part of the export's own data. Raises UserError where they are gone."""
    source = export.config.data.open(export.folder)
    by_name = {case.name: case for case in source.cases}
    names = split_source(source, export.config.data.split).parts[part][:most]
    return [CheckCase(name, by_name[name].image, by_name[name].label) for name in names]


def folder_cases(
    images: Path, labels: Path | None, most: int, task: Task, rule: AffineRule = "sform"
) -> list[CheckCase]:
    """The first images of a folder, with the labels of the same names.

    rule: which affine of a header counts; see `read_affine`.

    Raises UserError where there is no image, or `labels` has none for an image, or one of another
    geometry or other classes than the task's.
    """
    truths = find_volumes(labels) if labels else {}
    found = list(find_images(images, task.channels, truths).items())[:most]
    if not found:
        raise UserError(f"{images} has no {VOLUMES}; expected images to check with")
    if labels and (missing := [name for name, _ in found if name not in truths]):
        raise UserError(f"{labels} has no label for {', '.join(missing)}")
    if labels:
        pairs = tuple(Case(name, image, truths[name]) for name, image in found)
        modalities = tuple(map(str, range(task.channels)))
        dataset = Dataset(images, modalities, task.classes, pairs, ignore=task.ignore)
        check_dataset(dataset, rule=rule, expecting="the network")
    return [CheckCase(name, image, truths.get(name)) for name, image in found]


def calibration(segmenter: Segmenter, cases: Sequence[CheckCase]) -> list[np.ndarray]:
    """Windows of the cases, (1, C, D, H, W) each: the middle one of every case.

    Around a case that is smaller there are zeros.
    """
    fit = ResizeWithPadOrCrop(segmenter.task.patch)
    images = (torch.from_numpy(segmenter.prepare(case.image).image) for case in cases)
    return [np.asarray(fit(image))[None] for image in images]


def check(
    segmenter: Segmenter,
    deployed: nn.Module,
    cases: Sequence[CheckCase],
    precision: Precision,
    shapes: tuple[tuple[int, ...], ...],
) -> Checks:
    """Logits and Dice of both on whole cases, window by window.

    Raises DeployError where the mean Dice against the labels, or without labels a case's
    segmentation, differs by more than `DICE_TOLERANCE`, or logits in float32 by more than
    `LOGIT_TOLERANCE`.
    """
    targets = segmenter.task.targets
    classes = len(targets.classes)
    gaps, largest, agreements, scores = [], [], [], []
    for case in cases:
        prepared = segmenter.prepare(case.image)
        axis = segmenter.inferer.across(prepared.grid.shape)
        gap, most, theirs, ours = _side_by_side(segmenter, deployed, prepared, axis)
        gaps.append(gap)
        largest.append(most)
        agreements.append(agreement(theirs, ours, classes))
        if case.label is not None:
            truth = np.moveaxis(prepare_label(case.label, prepared, targets.values), axis, 0)
            pairs = [targets.without_ignored(labels, truth) for labels in (theirs, ours)]
            scores.append([dice_per_class(*pair, classes, targets.groups) for pair in pairs])
    dice, dice_pytorch = (
        (mean_dice(np.stack([s[i] for s in scores])) for i in range(2)) if scores else (None, None)
    )
    checks = Checks(
        cases=tuple(case.name for case in cases),
        max_difference=float(np.max(gaps)),  # NaN where there is one, which max() may pass over
        largest=max(largest),
        dice=known(dice),
        dice_pytorch=known(dice_pytorch),
        agreement=min(agreements),
        shapes=shapes,
    )
    _decide(checks, precision)
    return checks


def _side_by_side(
    segmenter: Segmenter, deployed: nn.Module, prepared: Prepared, axis: int
) -> tuple[float, float, np.ndarray, np.ndarray]:
    """The largest difference of the two networks' logits, the largest of PyTorch's, and the labels
    of the deployed network and of PyTorch: (rows, ...), `axis` in front.

    Of either network a slab of logits is in memory at a time. Raises UserError where that would
    take more than is free.
    """
    targets, inferer = segmenter.task.targets, segmenter.inferer
    shape = list(prepared.grid.shape)
    shape[axis] = min(shape[axis], inferer.patch[axis])
    check_logits("the image", targets, shape)
    gaps, largest, maps = [], [], []
    with onednn_for_single_images(segmenter.network):
        slabs = (
            inferer.slabs(prepared.image, one, axis, next(one.parameters()).device)
            for one in (deployed, segmenter.network)
        )
        for pair in zip(*slabs, strict=True):
            theirs, ours = (slab.cpu() for slab in pair)
            by_class = zip(theirs, ours, strict=True)  # for their difference is as large
            gaps.append(np.max([float((a - b).abs().max()) for a, b in by_class]))
            largest.append(float(ours.abs().max()))
            narrow = label_type(targets.values)
            maps.append([targets.label_map(one).numpy().astype(narrow) for one in (theirs, ours)])
    found, expected = (np.concatenate(rows) for rows in zip(*maps, strict=True))
    return float(np.max(gaps)), max(largest), found, expected


def _decide(checks: Checks, precision: Precision) -> None:
    limit = DICE_TOLERANCE[precision]
    if checks.dice is not None and checks.dice_pytorch is not None:
        gap = abs(checks.dice - checks.dice_pytorch)
        found = f"Dice {checks.dice:.4f}, PyTorch's {checks.dice_pytorch:.4f}"
    else:
        gap, found = 1.0 - checks.agreement, f"Dice {checks.agreement:.4f} against PyTorch's labels"
    if not gap <= limit:
        raise DeployError(
            f"{found} on {', '.join(checks.cases)}; expected a difference of {limit:g} at most"
        )
    relative = checks.max_difference / checks.largest
    if precision == "fp32" and not relative <= LOGIT_TOLERANCE:
        raise DeployError(
            f"the logits differ from PyTorch's by {checks.max_difference:.2g}, the largest is "
            f"{checks.largest:.2g}; expected {LOGIT_TOLERANCE:g} of it at most"
        )


def agreement(one: np.ndarray, other: np.ndarray, classes: int) -> float:
    """Mean foreground Dice of two segmentations; 1 where both are background alone."""
    dice = mean_dice(dice_per_class(one, other, classes)[None])
    return 1.0 if np.isnan(dice) else dice
