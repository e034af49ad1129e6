"""How far the surface of a segmentation lies from that of the truth, in millimetres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import binary_erosion, find_objects, generate_binary_structure
from scipy.spatial import KDTree

from trainers.metrics import Groups, each_class
from trainers.volumes.targets import is_in

_ROUNDING = 1e-4  # of a tolerance; a distance that is exactly it counts, whatever rounding does

Box = tuple[slice, ...]


def surface_per_class(
    predicted: np.ndarray,
    truth: np.ndarray,
    classes: int,
    spacing: ArrayLike,
    tolerance: float,
    groups: Groups | None = None,
    whole: Sequence[int] | None = None,
) -> np.ndarray:
    """HD95, ASSD, NSD and HD of every foreground class of one case, or of every group of labels.

    predicted, truth: (D, H, W) integer labels below `classes`; spacing: mm along D, H, W;
    tolerance: mm, of the NSD; whole: the shape of the volume that these are a part of, by default
    their own. Returns (groups, 4) float64, by default (classes - 1, 4) for the labels
    1 .. classes - 1: HD95 and ASSD in mm, NSD from 0 to 1, HD in mm. A class in neither has NaN
    throughout; in one of them only, the distances are NaN and its NSD is 0.

    A surface is the voxels of a class with a neighbour through a face that is not of it; the
    outside of the volume is not of it. Faces through an axis of one voxel do not count: in a single
    slice the surface is the outline. With the distances from each voxel of one surface to the
    nearest of the other, HD95 is the larger of the two 95th percentiles, HD the largest of all
    (Hausdorff's distance), ASSD the mean of all, NSD the share of all that is at most the tolerance
    (definitions as in Metrics Reloaded, Maier-Hein 2024; NSD of Nikolov 2021 with every surface
    voxel weighing the same).
    """
    groups = groups or each_class(classes)
    cross = _cross(whole or truth.shape)
    scores = np.full((len(groups), 4), np.nan)
    boxes = [find_objects(labels, max_label=classes - 1) for labels in (predicted, truth)]
    for row, group in enumerate(groups):
        found = [[b for v in group if (b := of_each[v - 1])] for of_each in boxes]
        if not any(found):
            continue
        if not all(found):
            scores[row, 2] = 0.0
            continue
        box = around(*found[0], *found[1])  # the distances need no more than both objects
        masks = is_in(predicted[box], group), is_in(truth[box], group)
        scores[row] = _scores(*masks, spacing, tolerance, cross)
    return scores


def _scores(
    predicted: np.ndarray,
    truth: np.ndarray,
    spacing: ArrayLike,
    tolerance: float,
    cross: np.ndarray,
) -> tuple[float, float, float, float]:
    a, b = (_surface(mask, spacing, cross) for mask in (predicted, truth))
    # Trees of surface voxels, since a distance transform costs as much as the box is large.
    one_way = KDTree(b).query(a)[0], KDTree(a).query(b)[0]
    both = np.concatenate(one_way)
    hd95 = max(float(np.percentile(each, 95)) for each in one_way)
    nsd = float((both <= tolerance * (1 + _ROUNDING)).mean())
    return hd95, float(both.mean()), nsd, float(both.max())


def _surface(mask: np.ndarray, spacing: ArrayLike, cross: np.ndarray) -> np.ndarray:
    """Places of the surface voxels in mm, (voxels, 3)."""
    return np.argwhere(mask & ~binary_erosion(mask, cross)) * np.asarray(spacing)


def _cross(shape: Sequence[int]) -> np.ndarray:
    """A voxel and its neighbours through a face, in a volume of that shape."""
    if max(shape) == 1:  # with no face at all it would have no surface
        shape = (2, 2, 2)
    cross = generate_binary_structure(3, 1)
    return cross[tuple(slice(None) if length > 1 else slice(1, 2) for length in shape)]


def around(*boxes: Box) -> Box:
    """The smallest box that has all of them in it."""
    return tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides))
        for sides in zip(*boxes, strict=True)
    )
