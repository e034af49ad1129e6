"""Contrast and noise, as scikit-image itself makes of a channel."""

import sys

import numpy as np
import pytest

from trainers.errors import UserError
from trainers.volumes.intensity import normalise
from trainers.volumes.settings import Clahe, Intensity, NonLocalMeans, Settings

CLAHE, MEANS = Clahe(clip_limit=0.02, tiles=4), NonLocalMeans(strength=0.8, patch=3, distance=2)
SHAPES = [(20, 24, 16), (20, 24, 1)]


def settings(**changes):
    """A window from 0 to 200, to [-1, 1], and then some filters."""
    intensity = Intensity("ct", (0.0, 200.0), (-1.0, 1.0), **changes)
    return Settings(
        orientation="RAS",
        affine="sform",
        resampling="by_axis",
        crop="none",
        intensities=[intensity],
    )


def noisy(shape):
    """Two levels with noise, (1, *shape); the levels are the second value."""
    random, clean = np.random.default_rng(0), np.full(shape, 60.0)
    clean[shape[0] // 2 :] = 130
    return random.normal(clean, 12).astype(np.float32)[None], clean


@pytest.mark.parametrize("shape", SHAPES)
def test_contrast_is_that_of_the_library_within_the_range(shape):
    exposure = pytest.importorskip("skimage.exposure")
    image, _ = noisy(shape)
    found = normalise(image, settings(clahe=CLAHE))[0]
    unit = np.clip(image[0] / 200, 0, 1).squeeze()
    expected = exposure.equalize_adapthist(unit, [max(1, n // 4) for n in unit.shape], 0.02)
    np.testing.assert_allclose(found.squeeze(), 2 * expected - 1, atol=1e-5)
    plain = normalise(image, settings())[0]
    assert found.min() >= -1 and found.max() <= 1 and found.std() > 1.2 * plain.std()


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_goes_as_the_library_takes_it(shape):
    restoration = pytest.importorskip("skimage.restoration")
    image, clean = noisy(shape)
    found = normalise(image, settings(denoise=MEANS))[0]
    plain = normalise(image, settings())[0]
    sigma = restoration.estimate_sigma(plain.squeeze())
    expected = restoration.denoise_nl_means(
        plain.squeeze(), patch_size=3, patch_distance=2, h=0.8 * sigma, sigma=sigma
    )
    np.testing.assert_allclose(found.squeeze(), expected, atol=1e-5)
    error = [np.abs(one - (clean / 100 - 1)).mean() for one in (plain, found)]
    assert error[1] < 0.7 * error[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("slices", [2, 3, 4])
@pytest.mark.parametrize(
    "filters", [{"clahe": CLAHE}, {"denoise": MEANS}], ids=["clahe", "denoise"]
)
def test_few_slices_are_no_colours(slices, filters):
    """A last axis so short is one of colours to scikit-image; the first is not."""
    pytest.importorskip("skimage")
    image, _ = noisy((20, 24, slices))
    found = normalise(image, settings(**filters))
    turned = normalise(np.moveaxis(image, 3, 1).copy(), settings(**filters))
    np.testing.assert_allclose(found, np.moveaxis(turned, 1, 3), atol=1e-3)


def test_a_constant_channel_has_no_noise_to_take():
    pytest.importorskip("skimage")
    image = np.full((1, 8, 8, 8), 50.0, np.float32)
    np.testing.assert_allclose(normalise(image, settings(denoise=MEANS)), -0.5, atol=1e-6)


@pytest.mark.parametrize(("key", "how"), [("clahe", CLAHE), ("denoise", MEANS)])
def test_without_scikit_image_the_key_that_needs_it_is_named(monkeypatch, key, how):
    for name in [n for n in sys.modules if n.partition(".")[0] in ("skimage", "pywt")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("skimage", "pywt"):
        monkeypatch.setitem(sys.modules, name, None)
    told = rf"data\.preprocess\.{key} needs scikit-image.*pip install 'segnas\[filters\]'"
    with pytest.raises(UserError, match=told):
        normalise(noisy((8, 8, 8))[0], settings(**{key: how}))
    normalise(noisy((8, 8, 8))[0], settings())
