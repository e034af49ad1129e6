"""One voxel, however wrong, must not ruin a case."""

import numpy as np
import pytest
import torch
from monai.transforms import NormalizeIntensity, ScaleIntensityRange

from tests.trainers.data.volumes import robust, settings_of
from trainers.volumes import rows
from trainers.volumes.intensity import normalise, occupied

ROBUST, PLAIN = settings_of(), settings_of(intensity="zscore")
WRONG = [1e6, -1e6, 3.4e38, -3.4e38]
AT = 12, 13, 11
ELSEWHERE = np.ones((24, 26, 22), bool)
ELSEWHERE[AT] = False


def volume(seed: int = 0) -> np.ndarray:
    """(24, 26, 22) float32: noise in an empty border."""
    values = np.zeros((24, 26, 22), np.float32)
    values[4:-4, 4:-4, 4:-4] = np.random.default_rng(seed).normal(100, 20, (16, 18, 14))
    return values


def spoilt(value: float) -> np.ndarray:
    values = volume()
    values[AT] = value
    return values


@pytest.mark.parametrize("value", WRONG)
def test_one_wrong_voxel_moves_no_other(value):
    clean, wrong = robust(volume()), robust(spoilt(value))
    np.testing.assert_allclose(wrong[ELSEWHERE], clean[ELSEWHERE], atol=0.01)
    assert abs(wrong[AT]) <= 10


@pytest.mark.parametrize("value", WRONG)
def test_a_plain_zscore_is_flattened_by_it(value):
    flat = normalise(spoilt(value)[None], PLAIN)[0]
    assert not flat[ELSEWHERE].std() > 0.1


@pytest.mark.parametrize("value", WRONG)
def test_the_crop_is_the_same_with_it(value):
    boxes = [next(occupied([v], ROBUST)) for v in (volume(), spoilt(value))]
    inside = [np.argwhere(box).min(0).tolist() for box in boxes]
    assert inside[0] == inside[1] == [4, 4, 4]


def test_the_empty_border_has_no_part_in_the_statistics():
    inner = volume()[4:-4, 4:-4, 4:-4]
    np.testing.assert_allclose(robust(volume())[4:-4, 4:-4, 4:-4], robust(inner), atol=0.1)


def test_scale_and_offset_of_a_scanner_do_not_matter():
    np.testing.assert_allclose(robust(volume()), robust(7 * volume() - 300), atol=1e-4)


def test_a_small_bright_structure_stays_brighter_than_the_rest():
    values = volume()
    values[10:12, 10:12, 10:12] = 400  # 8 voxels of 13,728, beyond the 99.5th percentile
    seen = robust(values)
    assert seen[10, 10, 10] > 2 * np.sort(seen.ravel())[-9]


def test_a_constant_channel_becomes_zero():
    np.testing.assert_array_equal(robust(np.full((4, 4, 4), 7.0, np.float32)), 0)


def test_two_values_are_told_apart():
    values = np.zeros((8, 8, 8), np.float32)
    values[:4] = 1
    seen = robust(values)
    assert np.isfinite(seen).all() and (seen[:4] > seen[4:].max()).all()


def test_channels_are_apart():
    both = np.stack([volume(0), 1000 * volume(1)])
    seen = normalise(both, ROBUST)
    np.testing.assert_allclose(seen[1], robust(volume(1)), atol=1e-3)
    assert seen.dtype == np.float32


@pytest.mark.parametrize("at_once", [1, 700, 2**23])
def test_in_parts_it_is_what_it_is_at_once(monkeypatch, at_once):
    """As MONAI has a z-score and a window, and NumPy, in 64 bits, the robust one."""
    monkeypatch.setattr(rows, "AT_ONCE", at_once)
    image = np.stack([volume(0), 1000 * volume(1) - 7])
    zscore = NormalizeIntensity(channel_wise=True)(torch.from_numpy(image.copy()))
    np.testing.assert_array_equal(normalise(image, PLAIN), zscore)
    window = ScaleIntensityRange(40, 110, 0, 1, clip=True)(torch.from_numpy(image.copy()))
    ct = settings_of(intensity="ct", window=(40, 110))
    np.testing.assert_array_equal(normalise(image, ct), window)
    for channel in image:
        inside = channel[channel > np.percentile(channel, 0.5)].astype(np.float64)
        inner = np.clip(inside, *np.percentile(inside, (0.5, 99.5)))
        expected = np.clip((channel - inner.mean()) / inner.std(), -10, 10)
        np.testing.assert_allclose(robust(channel), expected, rtol=1e-12, atol=1e-12)


# What the published set-ups do


def normalised(image: np.ndarray, **preprocess) -> np.ndarray:
    """(D, H, W) of one channel."""
    return normalise(image[None], settings_of(**preprocess))[0]


def test_a_window_may_become_another_range():
    """BTCV in token sparsification (Zhou 2023, Sec. 3.2): [-958, 326] HU to [-1, 1]."""
    hu = np.array([-1024, -958, -316, 5, 326, 3000], np.float32).reshape(1, 2, 3)
    seen = normalised(hu, intensity="ct", window=(-958, 326), range=(-1, 1))
    np.testing.assert_allclose(seen.ravel(), [-1, -1, 0, 0.5, 1, 1], atol=1e-6)


def test_a_zscore_of_what_is_not_0_is_monais():
    """BraTS in UNETR, and all that follow it."""
    image = volume() + (volume() != 0) * 3
    image[6:8] *= -1  # scanners have no negative values, interpolated volumes do
    monai = NormalizeIntensity(nonzero=True, channel_wise=True)(torch.from_numpy(image[None]))
    seen = normalised(image, intensity="nonzero_zscore")
    np.testing.assert_allclose(seen, monai[0], atol=1e-4)
    assert (seen[image == 0] == 0).all()


def test_the_empty_border_moves_no_zscore_of_what_is_not_0():
    inner = volume()[4:-4, 4:-4, 4:-4]
    seen = normalised(volume(), intensity="nonzero_zscore")[4:-4, 4:-4, 4:-4]
    np.testing.assert_allclose(seen, normalised(inner, intensity="zscore"), atol=1e-4)
    [box] = occupied([volume()], settings_of(intensity="nonzero_zscore"))
    np.testing.assert_array_equal(box, volume() != 0)


@pytest.mark.parametrize("span", [None, (-1, 1)])
def test_percentiles_become_the_ends_of_a_range(span):
    """ACDC in LightMedSeg (Sec. 4): clipped at 0.5 and 99.5%, then linearly to [0, 1]."""
    image = volume()
    low, high = np.percentile(image, (0.5, 99.5))
    share = (np.clip(image, low, high) - low) / (high - low)
    told = {} if span is None else {"range": span}
    seen = normalised(image, intensity="percentiles", **told)
    np.testing.assert_allclose(seen, share if span is None else 2 * share - 1, atol=1e-6)


def test_a_zscore_after_clipping_at_percentiles():
    image = spoilt(1e6)
    clipped = np.clip(image.astype(np.float64), *np.percentile(image, (0.5, 99.5)))
    expected = (clipped - clipped.mean()) / clipped.std()
    seen = normalised(image, intensity="percentile_zscore")
    np.testing.assert_allclose(seen, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["nonzero_zscore", "percentile_zscore", "percentiles"])
@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_volume_stays_finite_and_constant(kind, value):
    seen = normalised(np.full((4, 4, 4), value, np.float32), intensity=kind)
    np.testing.assert_array_equal(seen, 0)


@pytest.mark.parametrize("at_once", [1, 2**23])
@pytest.mark.parametrize("kind", ["nonzero_zscore", "percentile_zscore", "percentiles"])
def test_parts_of_a_volume_are_normalised_alike(monkeypatch, at_once, kind):
    whole = normalised(volume(), intensity=kind)
    monkeypatch.setattr(rows, "AT_ONCE", at_once)
    np.testing.assert_allclose(normalised(volume(), intensity=kind), whole, atol=1e-6)
