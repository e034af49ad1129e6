"""One case's segmentation and truth, and how good a class of it is after some steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainers.metrics import dice_per_class
from trainers.segmenter import ImageSegmenter
from trainers.surface import around, surface_per_class
from trainers.volumes.files import Image
from trainers.volumes.nifti import affine_of, load_labels, mended_before, open_volume
from trainers.volumes.postprocess import LabelMap, within
from trainers.volumes.steps import Steps

Scores = tuple[float, float]
"""Dice and HD95 in mm; see `Quality`."""


@dataclass(frozen=True)
class SegmentedCase:
    """What a network made of a case, the truth, and which voxels (D, H, W) count, None for all."""

    predicted: LabelMap
    truth: LabelMap
    counted: np.ndarray | None
    _scores: dict[tuple[int, Steps], Scores] = field(default_factory=dict, repr=False)

    def scores(self, value: int, steps: Steps) -> Scores:
        """Of a label after its steps."""
        key = value, steps
        if key not in self._scores:
            self._scores[key] = self._score(value, steps)
        return self._scores[key]

    def _score(self, value: int, steps: Steps) -> Scores:
        found, real = self.predicted.after(value, steps), self.truth.box(value)
        boxes = [one for one in (found and found[0], real) if one]
        if not boxes:
            return 1.0, 0.0
        box = around(*boxes)
        counted = True if self.counted is None else self.counted[box]
        truth = (self.truth.labels[box] == value) & counted
        mask = np.zeros(truth.shape, bool)
        if found:
            mask[within(found[0], box)] = found[1]
        mask &= counted
        if not mask.any() and not truth.any():
            return 1.0, 0.0
        if not mask.any() or not truth.any():
            return 0.0, float(np.linalg.norm(self.truth.labels.shape * self.predicted.spacing))
        pair = mask.astype(np.uint8), truth.astype(np.uint8)
        spacing, whole = self.predicted.spacing, self.truth.labels.shape
        distances = surface_per_class(*pair, 2, spacing, tolerance=1.0, whole=whole)[0]
        return float(dice_per_class(*pair, 2)[0]), float(distances[0])


def segment_case(
    segmenter: ImageSegmenter, image: Image, label: Path, folder: Path
) -> SegmentedCase:
    """Segment an image, and keep both label maps in `folder`, so that only one case is in memory.

    The segmenter has no steps of its own. Raises UserError as it does.
    """
    with mended_before():
        predicted = segmenter.segment(image)
        affine = affine_of(open_volume(image), segmenter.affine)
        truth = load_labels(label)
    targets = segmenter.task.targets
    counted = None
    if targets.ignore is not None:
        counted = _on_disk(truth != targets.ignore, folder / "counted.npy")
    kept = _on_disk(predicted, folder / "predicted.npy")
    real = _on_disk(truth.astype(np.min_scalar_type(targets.values)), folder / "truth.npy")
    own, right = (LabelMap(labels, affine, targets.classes) for labels in (kept, real))
    return SegmentedCase(own, right, counted)


def _on_disk(values: np.ndarray, path: Path) -> np.ndarray:
    np.save(path, values)
    return np.asarray(np.load(path, mmap_mode="r"))
