"""Random changes of a patch's intensities: each is drawn first, and made on whatever thread later.

What a change does is what it does in nnU-Net, by its library batchgeneratorsv2, and in MONAI. The
one draws from the generators of the process, so that neither seeds nor threads beside a training
can be had; the other takes several times as long for what is around the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.augment.presets import Chance

Change = tuple[int, Callable[[Tensor], Tensor]]
"""A channel, and what becomes of its voxels (D, H, W)."""

EPSILON = 1e-7
SOME_CHANNELS = 0.5  # of blur and low resolution: the share of channels that have them


def draw_changes(
    chances: Mapping[str, Chance], channels: int, coarse: int | None, rng: np.random.Generator
) -> list[Change]:
    """The changes of one patch of so many channels, by the `chances` of their kinds.

    `coarse`: the axis that keeps its resolution, if any.
    """
    drawn: list[Change] = []
    for kind, chance in chances.items():
        if chance.happens(rng):
            drawn += DRAWS[kind](chance, channels, coarse, rng)
    return drawn


def make_changes(image: np.ndarray, changes: Sequence[Change]) -> None:
    """Change the image (C, D, H, W) in place, one change after the other."""
    whole = torch.from_numpy(image)
    for channel, change in changes:
        whole[channel] = change(whole[channel])


def _noise(chance: Chance, channels: int, _: int | None, rng: np.random.Generator) -> list[Change]:
    deviation = chance.strength(rng)
    seeds = rng.integers(2**63, size=channels).tolist()
    return [(c, partial(add_noise, deviation=deviation, seed=seeds[c])) for c in range(channels)]


def _blur(chance: Chance, channels: int, _: int | None, rng: np.random.Generator) -> list[Change]:
    return [
        (channel, partial(blur, deviations=[chance.strength(rng) for _ in range(3)]))
        for channel in range(channels)
        if rng.random() < SOME_CHANNELS
    ]


def _low_resolution(
    chance: Chance, channels: int, coarse: int | None, rng: np.random.Generator
) -> list[Change]:
    drawn: list[Change] = []
    for channel in range(channels):
        if rng.random() < SOME_CHANNELS:
            zoom = chance.strength(rng)
            zooms = [1.0 if axis == coarse else zoom for axis in range(3)]
            drawn.append((channel, partial(lower_resolution, zooms=zooms)))
    return drawn


def _by_factor(
    change: Callable[..., Tensor],
    chance: Chance,
    channels: int,
    _: int | None,
    rng: np.random.Generator,
) -> list[Change]:
    """A factor for each channel, as often below 1 as above."""
    spans = (chance.low, 1.0), (1.0, chance.high)
    factors = [rng.uniform(*spans[rng.integers(2)]) for _ in range(channels)]
    return [(channel, partial(change, factor=factor)) for channel, factor in enumerate(factors)]


def add_noise(voxels: Tensor, deviation: float, seed: int) -> Tensor:
    """With Gaussian noise of that standard deviation."""
    noise = np.random.default_rng(seed).standard_normal(voxels.shape, np.float32)
    return voxels.add(torch.from_numpy(noise), alpha=deviation)


def blur(voxels: Tensor, deviations: Sequence[float]) -> Tensor:
    """Smoothed by a Gaussian, whose deviation is given for each axis, voxels."""
    from scipy.ndimage import gaussian_filter1d

    smooth = voxels.numpy()
    for axis, deviation in enumerate(deviations):
        radius = round(3 * deviation - 0.25)  # nnU-Net's: the nearest odd kernel to 6 d + 0.5
        smooth = gaussian_filter1d(smooth, deviation, axis, mode="mirror", radius=radius)
    return torch.from_numpy(smooth)


def brightness(voxels: Tensor, factor: float) -> Tensor:
    """`factor` times themselves."""
    return voxels * factor


def contrast(voxels: Tensor, factor: float) -> Tensor:
    """`factor` times as far from their mean, within the range that they had."""
    mean, (low, high) = voxels.mean(), torch.aminmax(voxels)
    return (voxels - mean).mul_(factor).add_(mean).clamp_(low, high)


def lower_resolution(voxels: Tensor, zooms: Sequence[float]) -> Tensor:
    """As if they had been sampled at `zooms` times their resolution along each axis."""
    sizes = [max(1, round(size * zoom)) for size, zoom in zip(voxels.shape, zooms, strict=True)]
    few = F.interpolate(voxels[None, None], sizes, mode="nearest-exact")
    return F.interpolate(few, voxels.shape, mode="trilinear")[0, 0]


def gamma(voxels: Tensor, factor: float, inverted: bool = False) -> Tensor:
    """To the power `factor` between their least and their greatest value, dark for bright where
    `inverted`; mean and deviation stay."""
    bright = -voxels if inverted else voxels
    low, high = torch.aminmax(bright)
    power = (bright - low).div_((high - low).clamp_min(EPSILON)).pow_(factor)
    power.sub_(power.mean())
    mean = bright.mean()
    wider = (bright - mean).norm() / power.norm().clamp_min(EPSILON)
    changed = power.mul_(wider).add_(mean)
    return -changed if inverted else changed


DRAWS: Mapping[str, Callable[..., list[Change]]] = {
    "noise": _noise,
    "blur": _blur,
    "brightness": partial(_by_factor, brightness),
    "contrast": partial(_by_factor, contrast),
    "low_resolution": _low_resolution,
    "inverted_gamma": partial(_by_factor, partial(gamma, inverted=True)),
    "gamma": partial(_by_factor, gamma),
}
