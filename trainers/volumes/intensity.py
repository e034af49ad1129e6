"""From a file's intensities to those that a network reads, and what of a volume is empty."""

from __future__ import annotations

import numpy as np
import torch
from monai.transforms import NormalizeIntensity, ScaleIntensityRange

from .settings import Settings

LOW, HIGH = 0.5, 99.5  # percentiles, those of nnU-Net's plan for CT
FARTHEST = 10.0  # deviations from the mean


def normalise(image: torch.Tensor, settings: Settings) -> np.ndarray:
    """(C, D, H, W) -> float32 of the same shape, by `settings.intensity`."""
    if settings.window:
        low, high = settings.window
        scaled = ScaleIntensityRange(low, high, 0.0, 1.0, clip=True)(image)
    elif settings.intensity == "zscore":
        scaled = NormalizeIntensity(channel_wise=True)(image)
    else:
        scaled = np.stack([robust_zscore(channel) for channel in image.numpy()])
    return np.ascontiguousarray(scaled, dtype=np.float32)


def body(channel: np.ndarray) -> np.ndarray:
    """The values that lie above the 0.5th percentile of (D, H, W).

    All but the background where that has one value, all but 0.5% of other volumes.
    """
    return channel[channel > np.percentile(channel, LOW)]


def robust_zscore(channel: np.ndarray) -> np.ndarray:
    """(D, H, W) minus the mean and over the deviation of its `body`, at most 10 deviations away.

    Mean and deviation are taken after clipping the body to its own 0.5th and 99.5th percentile, as
    nnU-Net (Isensee et al. 2021) clips CT: few voxels, however wrong, do not reach them. Small
    bright structures beyond stay brighter than the rest.
    """
    inside = body(channel).astype(np.float64)
    if not inside.size:
        return np.zeros_like(channel)
    inner = np.clip(inside, *np.percentile(inside, (LOW, HIGH)))
    deviation = inner.std() or inside.std() or 1.0
    return np.clip((channel - inner.mean()) / deviation, -FARTHEST, FARTHEST)


def occupied(image: torch.Tensor, settings: Settings) -> torch.Tensor:
    """(C, D, H, W) bool: what is not empty.

    Above the CT window's lower end; above the minimum of a plain z-score; else above each channel's
    0.5th percentile.
    """
    if settings.window:
        return image > settings.window[0]
    if settings.intensity == "zscore":
        return image > image.min()
    lows = [float(np.percentile(channel, LOW)) for channel in image.numpy()]
    return image > torch.tensor(lows)[:, None, None, None]
