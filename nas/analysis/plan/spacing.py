"""To which voxel size volumes are brought."""

from __future__ import annotations

from typing import Literal

import numpy as np

from nas.analysis.plan.choice import Choice
from trainers.volumes.geometry import Spacing3, by

ALIKE = 0.01  # relative difference that is none
ANISOTROPIC = 3.0  # times longer voxels, and times fewer of them


def choose_spacing(
    spacings: np.ndarray, shapes: np.ndarray
) -> Choice[Literal["native"] | Spacing3]:
    """spacings: (cases, 3) mm, shapes: (cases, 3) voxels.

    The median along each axis; along one with voxels over three times as long as the shortest and a
    third as many, the tenth percentile, yet never finer than the other axes (Isensee et al. 2021,
    nnU-Net, Supplementary Note 2). No resampling where all volumes have one spacing.
    """
    median = np.median(spacings, axis=0)
    if np.all(np.abs(spacings / median - 1) < ALIKE):
        return Choice("native", f"all volumes have voxels of {by(median)} mm: none is resampled")
    target, axis = median.copy(), int(np.argmax(median))
    count = np.median(shapes, axis=0)
    others = [other for other in range(3) if other != axis]
    long = median[axis] > ANISOTROPIC * median.min()
    few = count[axis] * ANISOTROPIC < count[others].min()
    why = f"the median of the {len(spacings)} volumes"
    if long and few:
        tenth = float(np.percentile(spacings[:, axis], 10))
        target[axis] = max(tenth, float(median[others].max()))
        why += f"; along axis {axis}, whose voxels are long, the tenth percentile, as in nnU-Net"
    x, y, z = (float(f"{size:.4g}") for size in target)
    low, high = spacings.min(axis=0), spacings.max(axis=0)
    return Choice((x, y, z), f"mm, {why}; they range from {by(low)} to {by(high)}")
