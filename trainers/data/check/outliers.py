"""Voxels so far from the others that they would move what a volume is normalised by."""

from __future__ import annotations

import numpy as np

from trainers.volumes.intensity import HIGH, LOW, body

FAR = 30.0  # times the range of the body, beyond it; metal in CT is seen up to 14


def far_voxels(channel: np.ndarray) -> str | None:
    """What is said of the voxels of (D, H, W) that are far; None where none is.

    Far is more than 30 times the range of the body outside that range. The range is from the 0.5th
    to the 99.5th percentile of the body, as in `robust_zscore`: wrong voxels do not move it.
    """
    inside = body(channel)
    if not inside.size:
        return None
    low, high = (float(value) for value in np.percentile(inside, (LOW, HIGH)))
    lowest, highest = float(channel.min()), float(channel.max())
    margin = FAR * ((high - low) or (highest - lowest))
    if lowest >= low - margin and highest <= high + margin:
        return None
    count = np.count_nonzero((channel < low - margin) | (channel > high + margin))
    extreme = highest if highest - high > low - lowest else lowest
    voxels = "1 voxel" if count == 1 else f"{count} voxels"
    return (
        f"{voxels} as far as {extreme:.7g}, 99% of the others are {low:.4g} to {high:.4g}: "
        "`intensity: robust` and `ct` clip such voxels, `zscore` does not"
    )
