"""How far the surface of a segmentation lies from that of the truth, in millimetres."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import KDTree

_ROUNDING = 1e-4  # mm; a distance of exactly the tolerance counts, whatever rounding makes of it

Box = tuple[slice, ...]


def surface_per_class(
    predicted: np.ndarray,
    truth: np.ndarray,
    classes: int,
    spacing: ArrayLike,
    tolerance: float,
) -> np.ndarray:
    """HD95, ASSD and NSD of every foreground class of one case.

    predicted, truth: (D, H, W) integer labels; spacing: mm along D, H, W; tolerance: mm, of the
    NSD. Returns (classes - 1, 3) float64 for the labels 1 .. classes - 1: HD95 and ASSD in mm, NSD
    from 0 to 1. A class in neither has NaN throughout; in one of them only, the distances are NaN
    and its NSD is 0.

    A surface is the voxels of a class with a neighbour through a face that is not of it; the
    outside of the volume is not of it. With the distances from each voxel of one surface to the
    nearest of the other, HD95 is the larger of the two 95th percentiles, ASSD the mean of all, NSD
    the share of all that is at most the tolerance (definitions as in Metrics Reloaded, Maier-Hein
    2024; NSD of Nikolov 2021 with every surface voxel weighing the same).
    """
    scores = np.full((classes - 1, 3), np.nan)
    boxes = [find_objects(labels, max_label=classes - 1) for labels in (predicted, truth)]
    for row, found in enumerate(zip(*boxes, strict=True)):
        if found[0] is None and found[1] is None:
            continue
        if found[0] is None or found[1] is None:
            scores[row, 2] = 0.0
            continue
        box = _around(*found)  # the distances need no more than both objects
        masks = predicted[box] == row + 1, truth[box] == row + 1
        scores[row] = _scores(*masks, spacing, tolerance)
    return scores


def _scores(
    predicted: np.ndarray, truth: np.ndarray, spacing: ArrayLike, tolerance: float
) -> tuple[float, float, float]:
    a, b = _surface(predicted, spacing), _surface(truth, spacing)
    # Trees of surface voxels, since a distance transform costs as much as the box is large.
    one_way = KDTree(b).query(a)[0], KDTree(a).query(b)[0]
    both = np.concatenate(one_way)
    hd95 = max(float(np.percentile(each, 95)) for each in one_way)
    return hd95, float(both.mean()), float((both <= tolerance + _ROUNDING).mean())


def _surface(mask: np.ndarray, spacing: ArrayLike) -> np.ndarray:
    """Places of the surface voxels in mm, (voxels, 3)."""
    return np.argwhere(mask & ~binary_erosion(mask)) * np.asarray(spacing)


def _around(a: Box, b: Box) -> Box:
    return tuple(
        slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b, strict=True)
    )
