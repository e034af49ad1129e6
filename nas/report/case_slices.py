"""Three slices of a case with its label drawn over them, as one small picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import interpolate

from trainers.data.intensities import CT_WINDOW
from trainers.data.source import Case
from trainers.errors import UserError
from trainers.volumes.geometry import Turn, oriented_spacing
from trainers.volumes.intensity import HIGH, LOW, body
from trainers.volumes.nifti import load_labels, load_volume
from trainers.volumes.settings import Settings

AXES = "RAS"
GAP = 4  # pixels between two slices
FILL = 0.22  # opacity of a label inside its contour
MARGIN, AROUND = 0.04, 0.5  # shares of the length of the body and of the label, around them

Rgb = np.ndarray
"""(height, width, 3), 0 to 1; below where nothing is drawn."""


def case_slices(
    case: Case, settings: Settings, modality: str, colours: np.ndarray, size: tuple[int, int]
) -> Rgb | None:
    """Axial at the left, coronal and sagittal at the right; None where the image cannot be read.

    Of the first channel, in radiological orientation and true proportions, at one scale for all
    three, cropped to the label and what is around it. Each slice is the one with most classes, and
    of those with most of their voxels. `colours`: (classes, 3). `size`: (height, width) in pixels.
    """
    try:
        volume = load_volume(case.image, settings.affine)
    except UserError:
        return None
    affine = np.asarray(volume.affine)
    turn, spacing = Turn.to(AXES, affine), np.array(oriented_spacing(affine, AXES))
    image = np.nan_to_num(turn.apply(volume[0].numpy()), nan=0, posinf=0, neginf=0)
    label = _label(case, turn, volume.shape[1:], len(colours))
    grey = _grey(image, settings, modality)
    box = _view(grey, label)
    grey, label = grey[box], label[box]
    at = middles(label)
    planes = []
    for axis in (2, 1, 0):  # axial, coronal, sagittal
        across = [index for index in range(3) if index != axis]
        # Upwards and to the patient's left: rows run downwards, columns from right to left.
        shown = [np.take(v, at[axis], axis).T[::-1, ::-1] for v in (grey, label)]
        planes.append((*shown, spacing[across][::-1]))
    return _arranged(planes, colours, size)


def _label(case: Case, turn: Turn, shape: Sequence[int], classes: int) -> np.ndarray:
    """(D, H, W); background where the file has no class, or does not fit the image."""
    try:
        label = load_labels(case.label)
    except UserError:
        label = np.zeros(0)
    if label.shape != tuple(shape):
        label = np.zeros(tuple(shape), np.int64)
    return turn.apply(np.where((label > 0) & (label < classes), label, 0))


def _grey(image: np.ndarray, settings: Settings, modality: str) -> np.ndarray:
    """(D, H, W), 0 to 1: a CT window, or between the percentiles that intensities are taken of."""
    usual = CT_WINDOW if modality.strip().upper() == "CT" else None
    window = settings.intensities[0].window or usual
    if window is None:
        lowest, inside = np.percentile(image, LOW), body(image)
        window = (lowest, np.percentile(inside, HIGH)) if inside.size else (min(lowest, 0.0), 1.0)
    low, high = window
    return np.clip((image - low) / ((high - low) or 1.0), 0, 1).astype(np.float32)


def _view(grey: np.ndarray, label: np.ndarray) -> tuple[slice, ...]:
    """The box of what is not empty, but no more than half the label's length around the label."""
    box = []
    for axis in range(3):
        labelled = np.any(_slices(label, axis) > 0, axis=1)
        drawn = labelled | np.any(_slices(grey, axis) > 0.02, axis=1)
        first, last = _reach(drawn, MARGIN)
        if labelled.any():
            start, stop = _reach(labelled, AROUND)
            first, last = max(first, start), min(last, stop)
        box.append(slice(first, last))
    return tuple(box)


def _slices(values: np.ndarray, axis: int) -> np.ndarray:
    """(D, H, W) -> (slices across the axis, voxels of each)."""
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def _reach(inside: np.ndarray, margin: float) -> tuple[int, int]:
    """The first and past the last that is inside, with a margin in shares of the distance."""
    found = np.flatnonzero(inside)
    first, last = (int(found[0]), int(found[-1]) + 1) if found.size else (0, len(inside))
    wider = round(margin * (last - first))
    return max(0, first - wider), min(len(inside), last + wider)


def middles(label: np.ndarray) -> list[int]:
    """The slice of each axis with most classes, and of those with most of their voxels; in the
    middle of the volume where there is no label. label: (D, H, W)."""
    if not label.any():
        return [length // 2 for length in label.shape]
    chosen = []
    for axis in range(3):
        slices = _slices(label, axis)
        sizes = np.count_nonzero(slices, axis=1)
        kinds = [
            len(np.unique(one)) if size else 0 for one, size in zip(slices, sizes, strict=True)
        ]
        chosen.append(int(np.lexsort((sizes, kinds))[-1]))
    return chosen


def _arranged(
    planes: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    colours: np.ndarray,
    size: tuple[int, int],
) -> Rgb:
    """planes: grey, label and (height, width) of a pixel in mm, of the three slices."""
    mm = [np.array(grey.shape) * pixel for grey, _, pixel in planes]
    height = max(mm[0][0], mm[1][0] + mm[2][0])
    width = mm[0][1] + max(mm[1][1], mm[2][1])
    scale = min((size[0] - GAP) / height, (size[1] - GAP) / width)
    axial, coronal, sagittal = (
        _overlaid(grey, label, colours, np.maximum(1, np.round(lengths * scale)).astype(int))
        for (grey, label, _), lengths in zip(planes, mm, strict=True)
    )
    picture = np.full((*size, 3), -1.0)
    right = axial.shape[1] + GAP
    top = (size[0] - max(len(axial), len(coronal) + GAP + len(sagittal))) // 2
    left = max(0, (size[1] - right - max(coronal.shape[1], sagittal.shape[1])) // 2)
    _paste(picture, axial, top, left)
    _paste(picture, coronal, top, left + right)
    _paste(picture, sagittal, top + len(coronal) + GAP, left + right)
    return picture


def _overlaid(grey: np.ndarray, label: np.ndarray, colours: np.ndarray, size: np.ndarray) -> Rgb:
    """A slice of (height, width) pixels, the label's classes filled lightly, with a contour."""
    values = _resized(grey, size, mode="bilinear", antialias=True)
    classes = _resized(label.astype(np.float32), size, mode="nearest-exact").astype(int)
    drawn = np.repeat(values[..., None], 3, axis=-1)
    edge = np.zeros(classes.shape, bool)
    for axis in range(2):
        differ = np.diff(classes, axis=axis) != 0
        low, high = np.moveaxis(edge, axis, 0)[:-1], np.moveaxis(edge, axis, 0)[1:]
        low |= np.moveaxis(differ, axis, 0)
        high |= np.moveaxis(differ, axis, 0)
    opacity = np.where(edge, 1.0, FILL) * (classes > 0)
    return drawn + opacity[..., None] * (colours[classes] - drawn)


def _resized(values: np.ndarray, size: np.ndarray, **how: object) -> np.ndarray:
    plane = torch.from_numpy(values.copy())[None, None]  # strides of a mirrored axis are negative
    return interpolate(plane, size=tuple(map(int, size)), **how)[0, 0].numpy()  # type: ignore[arg-type]


def _paste(picture: Rgb, part: Rgb, top: int, left: int) -> None:
    target = picture[top : top + part.shape[0], left : left + part.shape[1]]
    target[:] = part[: target.shape[0], : target.shape[1]]
