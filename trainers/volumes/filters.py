"""Contrast and noise of a normalised channel, by scikit-image, an optional dependency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from .errors import UserError
from .settings import Clahe, NonLocalMeans

COLOURS = 4  # of a pixel, at most


def equalised(channel: np.ndarray, span: Sequence[float], how: Clahe) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of (D, H, W).

    scikit-image's `equalize_adapthist` of all axes together. `span`: the ends of the channel's
    values, and of the result's. `clip_limit`: from 0 to 1, the larger the more contrast; `tiles`:
    how many histograms there are along an axis. Raises UserError where scikit-image is missing.
    """
    low, high = span
    exposure = _scikit_image("exposure", "clahe")

    def unit_equalised(values: np.ndarray) -> np.ndarray:
        unit = (values - low) / (high - low)
        tiles = [max(1, length // how.tiles) for length in unit.shape]
        found = exposure.equalize_adapthist(unit, kernel_size=tiles, clip_limit=how.clip_limit)
        return np.asarray(low + (high - low) * found)

    return _volume(channel, unit_equalised)


def denoised(channel: np.ndarray, how: NonLocalMeans) -> np.ndarray:
    """Non-local means (Buades 2005; the fast variant of Darbon 2008) of (D, H, W).

    scikit-image's `denoise_nl_means`, with the noise's deviation that its `estimate_sigma` finds
    and `strength` times that as the cut-off of distances `h`. Patches of `patch` voxels a side are
    compared within `distance` voxels. Raises UserError where scikit-image is missing.
    """
    restoration = _scikit_image("restoration", "denoise")

    def less_noisy(values: np.ndarray) -> np.ndarray:
        noise = float(restoration.estimate_sigma(values))
        if not noise > 0:  # constant, or without noise
            return values
        found = restoration.denoise_nl_means(
            values,
            patch_size=how.patch,
            patch_distance=how.distance,
            h=how.strength * noise,
            sigma=noise,
            fast_mode=True,
        )
        return np.asarray(found)

    return _volume(channel, less_noisy)


def _volume(channel: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What `change` makes of (D, H, W), float32.

    It is given no axis of one slice, which has no neighbours, and no short axis as the last one,
    which scikit-image takes for colours.
    """
    values = np.squeeze(channel)
    last = values.ndim - 1 if values.shape[-1] > COLOURS else int(np.argmax(values.shape))
    found = np.moveaxis(change(np.moveaxis(values, last, -1)), -1, last)
    return np.asarray(found, np.float32).reshape(channel.shape)


def _scikit_image(module: str, key: str) -> Any:
    try:
        import_module("pywt")  # of `estimate_sigma`, which asks for it late
        return import_module(f"skimage.{module}")
    except ImportError as error:
        raise UserError(
            f"data.preprocess.{key} needs scikit-image and PyWavelets, and {error.name} is not "
            "installed; pip install 'segnas[filters]'"
        ) from error
