"""From a file's intensities to those that a network reads, and what of a volume is empty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from monai.transforms import ScaleIntensityRange

from .settings import Intensity, Settings

LOW, HIGH = 0.5, 99.5  # percentiles, those of nnU-Net's plan for CT
FARTHEST = 10.0  # deviations from the mean


def normalise(image: torch.Tensor, settings: Settings) -> np.ndarray:
    """(C, D, H, W) -> float32 of the same shape, each channel by its intensity."""
    scaled = np.empty(tuple(image.shape), np.float32)
    each = of_each_channel(settings, len(image))
    for channel, how, into in zip(image.numpy(), each, scaled, strict=True):
        if how.window:
            low, high = how.window
            scale = ScaleIntensityRange(low, high, 0.0, 1.0, clip=True)
            for plane, values in zip(into, channel, strict=True):
                plane[:] = scale(torch.from_numpy(values))
        elif how.kind == "zscore":
            _plain_zscore(torch.from_numpy(channel), into)
        else:
            robust_zscore(channel, into)
    return scaled


def _plain_zscore(channel: torch.Tensor, into: np.ndarray) -> None:
    """In single precision, as MONAI's `NormalizeIntensity` does in place."""
    mean, deviation = channel.mean().item(), channel.std(unbiased=False).item() or 1.0
    for plane, values in zip(into, channel, strict=True):
        plane[:] = (values - mean) / deviation


def of_each_channel(settings: Settings, channels: int) -> Sequence[Intensity]:
    """Raises ValueError for another number of channels than there are intensities."""
    if len(settings.intensities) == 1:
        return list(settings.intensities) * channels
    if len(settings.intensities) != channels:
        raise ValueError(f"{channels} channels, but {len(settings.intensities)} intensities")
    return settings.intensities


def _alike(
    image: torch.Tensor, settings: Settings
) -> Iterator[tuple[Intensity, list[int] | slice]]:
    """Each intensity, and the channels that have it."""
    each = of_each_channel(settings, len(image))
    if all(how == each[0] for how in each):
        yield each[0], slice(None)  # which copies nothing
        return
    for first, how in enumerate(each):
        if how not in each[:first]:
            yield how, [channel for channel, its in enumerate(each) if its == how]


def body(channel: np.ndarray) -> np.ndarray:
    """The values that lie above the 0.5th percentile of (D, H, W).

    All but the background where that has one value, all but 0.5% of other volumes.
    """
    return channel[channel > np.percentile(channel, LOW)]


def robust_zscore(channel: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
    """(D, H, W) minus the mean and over the deviation of its `body`, at most 10 deviations away.

    Mean and deviation are taken after clipping the body to its own 0.5th and 99.5th percentile, as
    nnU-Net (Isensee et al. 2021) clips CT: few voxels, however wrong, do not reach them. Small
    bright structures beyond stay brighter than the rest.

    In double precision, a plane at a time; `into`: where it is written to.
    """
    scaled = np.empty(channel.shape, np.float64) if into is None else into
    inside = body(channel)
    if not inside.size:
        scaled[:] = 0
        return scaled
    mean, deviation = _clipped_moments(inside)
    del inside
    for plane, values in zip(scaled, channel, strict=True):
        plane[:] = np.clip((values - mean) / deviation, -FARTHEST, FARTHEST)
    return scaled


def _clipped_moments(inside: np.ndarray) -> tuple[np.float64, np.float64]:
    """Mean and deviation between the percentiles, in the memory of one array of doubles."""
    limits = _percentiles(inside)
    values = inside.astype(np.float64)
    np.clip(values, *limits, out=values)
    mean, deviation = values.mean(), _deviation(values)
    return mean, deviation or _deviation(inside.astype(np.float64)) or np.float64(1)


def _deviation(values: np.ndarray) -> np.float64:
    """`values.std()`, in the memory of the values."""
    values -= values.mean()
    values *= values
    return np.sqrt(values.mean())


def _percentiles(values: np.ndarray) -> tuple[np.float64, ...]:
    """`np.percentile` in double precision of what is in single precision, without a copy in it."""
    where = (len(values) - 1) * (np.array([LOW, HIGH]) / 100)
    below = np.floor(where).astype(int)
    above = np.minimum(below + 1, len(values) - 1)
    ordered = np.partition(values, np.unique([below, above]))
    low, high = ordered[below].astype(np.float64), ordered[above].astype(np.float64)
    share, apart = where - below, high - low
    return tuple(np.where(share < 0.5, low + apart * share, high - apart * (1 - share)))


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
