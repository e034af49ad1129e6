"""From a file's intensities to those that a network reads, and what of a volume is empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from .filters import denoised, equalised
from .rows import row_ranges
from .settings import Intensity, Settings

LOW, HIGH = 0.5, 99.5  # percentiles, those of nnU-Net's plan for CT
FARTHEST = 10.0  # deviations from the mean


def normalise(image: np.ndarray, settings: Settings) -> np.ndarray:
    """(C, D, H, W) -> float32 of the same shape, each channel by its intensity."""
    scaled = np.empty(image.shape, np.float32)
    each = of_each_channel(settings, len(image))
    for channel, to, how in zip(image, scaled, each, strict=True):
        scale = _scaling(channel, how)
        for rows in row_ranges(len(channel), channel[0].size):
            to[rows] = scale(channel[rows])
        if how.clahe:
            to[...] = equalised(to, how.range, how.clahe)
        if how.denoise:
            to[...] = denoised(to, how.denoise)
    return scaled


def of_each_channel(settings: Settings, channels: int) -> Sequence[Intensity]:
    """Raises ValueError for another number of channels than there are intensities."""
    if len(settings.intensities) == 1:
        return list(settings.intensities) * channels
    if len(settings.intensities) != channels:
        raise ValueError(f"{channels} channels, but {len(settings.intensities)} intensities")
    return settings.intensities


def _scaling(channel: np.ndarray, how: Intensity) -> Callable[[np.ndarray], np.ndarray]:
    """How any of its voxels is normalised."""
    if how.kind == "zscore":
        every = torch.from_numpy(channel)
        mean, deviation = every.mean().item(), every.std(unbiased=False).item() or 1.0
        return lambda values: torch.from_numpy(values).sub(mean).div(deviation).numpy()
    if how.kind == "nonzero_zscore":
        return nonzero_zscore(channel)
    if how.kind == "percentile_zscore":
        return percentile_zscore(channel)
    if how.kind == "robust":
        return robust_zscore(channel)
    low, high = how.window or map(float, _percentiles(channel.ravel()))
    return _to_range(low, high, how.range)


def _to_range(low: float, high: float, to: Sequence[float]) -> Callable[[np.ndarray], np.ndarray]:
    """`low` and `high` become the ends of `to`; what lies beyond them is clipped."""
    from monai.transforms import ScaleIntensityRange

    high = high if high > low else low + 1.0  # of a constant volume: all becomes the lower end
    window = ScaleIntensityRange(low, high, to[0], to[1], clip=True)
    return lambda values: np.asarray(window(torch.from_numpy(values)))


def body(channel: np.ndarray) -> np.ndarray:
    """The values that lie above the 0.5th percentile of (D, H, W).

    All but the background where that has one value, all but 0.5% of other volumes.
    """
    return channel[channel > np.percentile(channel, LOW)]


def robust_zscore(channel: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Of its voxels: minus the mean and over the deviation of its `body`, at most 10 of them away.

    Mean and deviation are taken after clipping the body to its own 0.5th and 99.5th percentile, as
    nnU-Net (Isensee et al. 2021) clips CT: few voxels, however wrong, do not reach them. Small
    bright structures beyond stay brighter than the rest.
    """
    inside = body(channel)
    if not inside.size:
        return np.zeros_like
    mean, deviation = _moments(inside, *_percentiles(inside))
    divisor = deviation or _moments(inside, -np.inf, np.inf)[1] or 1.0
    return lambda values: np.clip((values - mean) / divisor, -FARTHEST, FARTHEST)


def nonzero_zscore(channel: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Z-score by the mean and deviation of the voxels that are not 0; those that are stay 0.

    For images with the background removed, as BraTS has them (UNETR's, Hatamizadeh 2022).
    """
    inside = channel[channel != 0]
    if not inside.size:
        return np.zeros_like
    mean, deviation = _moments(inside, -np.inf, np.inf)
    return lambda values: np.where(values != 0, (values - mean) / (deviation or 1.0), 0)


def percentile_zscore(channel: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Z-score of all voxels, clipped to their 0.5th and 99.5th percentile before."""
    every = channel.ravel()
    low, high = _percentiles(every)
    mean, deviation = _moments(every, low, high)
    return lambda values: (np.clip(values, low, high) - mean) / (deviation or 1.0)


def _percentiles(values: np.ndarray) -> tuple[np.float64, np.float64]:
    """`LOW` and `HIGH` of (N,), as NumPy has them of 64 bits, without such a copy of the values."""
    place = (len(values) - 1) * np.array([LOW, HIGH]) / 100
    before = np.floor(place).astype(int)
    after = np.minimum(before + 1, len(values) - 1)
    found = np.partition(values, np.union1d(before, after))
    below, above = found[before].astype(np.float64), found[after].astype(np.float64)
    share, apart = place - before, above - below
    low, high = np.where(share < 0.5, below + apart * share, above - apart * (1 - share))
    return low, high


def _moments(values: np.ndarray, low: float, high: float) -> tuple[np.float64, np.float64]:
    """Mean and deviation of (N,) clipped to `low` and `high`, in 64 bits."""
    parts = [values[part] for part in row_ranges(len(values), 1)]

    def mean_of(what: Callable[[np.ndarray], np.ndarray]) -> np.float64:
        clipped = (np.clip(part.astype(np.float64), low, high) for part in parts)
        return np.float64(sum(what(part).sum() for part in clipped) / len(values))

    mean = mean_of(np.positive)
    return mean, np.sqrt(mean_of(lambda part: (part - mean) ** 2))


def occupied(channels: Sequence[np.ndarray], settings: Settings) -> Iterator[np.ndarray]:
    """(D, H, W) bool of each channel: what is not empty.

    Above the CT window's lower end; above the minimum of a plain z-score, in all channels; what is
    not 0 for a z-score of that; else above each channel's 0.5th percentile.
    """
    each = list(zip(channels, of_each_channel(settings, len(channels)), strict=True))
    lowest = min((float(c.min()) for c, how in each if how.kind == "zscore"), default=0.0)
    for channel, how in each:
        if how.window:
            yield channel > how.window[0]
        elif how.kind == "zscore":
            yield channel > lowest
        elif how.kind == "nonzero_zscore":
            yield channel != 0
        else:
            yield channel > float(np.percentile(channel, LOW))
