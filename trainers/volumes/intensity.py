"""From a file's intensities to those that a network reads, and what of a volume is empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from monai.transforms import NormalizeIntensity, ScaleIntensityRange

from .settings import Intensity, Settings

LOW, HIGH = 0.5, 99.5  # percentiles, those of nnU-Net's plan for CT
FARTHEST = 10.0  # deviations from the mean


def normalise(image: torch.Tensor, settings: Settings) -> np.ndarray:
    """(C, D, H, W) -> float32 of the same shape, each channel by its intensity."""
    scaled = np.empty(tuple(image.shape), np.float32)
    for how, channels in _alike(image, settings):
        scaled[channels] = _normalised(image[channels], how)
    return scaled


def of_each_channel(settings: Settings, channels: int) -> Sequence[Intensity]:
    """Raises ValueError for another number of channels than there are intensities."""
    if len(settings.intensities) == 1:
        return list(settings.intensities) * channels
    if len(settings.intensities) != channels:
        raise ValueError(f"{channels} channels, but {len(settings.intensities)} intensities")
    return settings.intensities


def _alike(image: torch.Tensor, settings: Settings) -> Iterator[tuple[Intensity, list[int]]]:
    """Each intensity, and the channels that have it."""
    each = of_each_channel(settings, len(image))
    for first, how in enumerate(each):
        if how not in each[:first]:
            yield how, [channel for channel, its in enumerate(each) if its == how]


def _normalised(image: torch.Tensor, how: Intensity) -> np.ndarray | torch.Tensor:
    if how.window:
        low, high = how.window
        return ScaleIntensityRange(low, high, 0.0, 1.0, clip=True)(image)
    if how.kind == "zscore":
        return NormalizeIntensity(channel_wise=True)(image)
    return np.stack([robust_zscore(channel) for channel in image.numpy()])


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
    found = torch.empty(image.shape, dtype=torch.bool)
    for how, channels in _alike(image, settings):
        part = image[channels]
        if how.window:
            found[channels] = part > how.window[0]
        elif how.kind == "zscore":
            found[channels] = part > part.min()
        else:
            lows = [float(np.percentile(channel, LOW)) for channel in part.numpy()]
            found[channels] = part > torch.tensor(lows)[:, None, None, None]
    return found
