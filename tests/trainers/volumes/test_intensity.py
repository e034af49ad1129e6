"""One voxel, however wrong, must not ruin a case."""

import numpy as np
import pytest
import torch
from monai.transforms import NormalizeIntensity

from trainers.data.config import Preprocess
from trainers.volumes.intensity import normalise, occupied, robust_zscore

ROBUST, PLAIN = Preprocess(), Preprocess(intensity="zscore")
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
    clean, wrong = robust_zscore(volume()), robust_zscore(spoilt(value))
    np.testing.assert_allclose(wrong[ELSEWHERE], clean[ELSEWHERE], atol=0.01)
    assert abs(wrong[AT]) <= 10


@pytest.mark.parametrize("value", WRONG)
def test_a_plain_zscore_is_flattened_by_it(value):
    flat = normalise(torch.from_numpy(spoilt(value))[None], PLAIN)[0]
    assert not flat[ELSEWHERE].std() > 0.1


@pytest.mark.parametrize("value", WRONG)
def test_the_crop_is_the_same_with_it(value):
    boxes = [occupied(torch.from_numpy(v)[None], ROBUST)[0] for v in (volume(), spoilt(value))]
    inside = [torch.nonzero(box).amin(0).tolist() for box in boxes]
    assert inside[0] == inside[1] == [4, 4, 4]


def test_the_empty_border_has_no_part_in_the_statistics():
    inner = volume()[4:-4, 4:-4, 4:-4]
    np.testing.assert_allclose(
        robust_zscore(volume())[4:-4, 4:-4, 4:-4], robust_zscore(inner), atol=0.1
    )


def test_scale_and_offset_of_a_scanner_do_not_matter():
    np.testing.assert_allclose(
        robust_zscore(volume()), robust_zscore(7 * volume() - 300), atol=1e-4
    )


def test_a_small_bright_structure_stays_brighter_than_the_rest():
    values = volume()
    values[10:12, 10:12, 10:12] = 400  # 8 voxels of 13,728, beyond the 99.5th percentile
    seen = robust_zscore(values)
    assert seen[10, 10, 10] > 2 * np.sort(seen.ravel())[-9]


def test_a_constant_channel_becomes_zero():
    np.testing.assert_array_equal(robust_zscore(np.full((4, 4, 4), 7.0, np.float32)), 0)


def test_two_values_are_told_apart():
    values = np.zeros((8, 8, 8), np.float32)
    values[:4] = 1
    seen = robust_zscore(values)
    assert np.isfinite(seen).all() and (seen[:4] > seen[4:].max()).all()


def test_channels_are_apart():
    both = torch.from_numpy(np.stack([volume(0), 1000 * volume(1)]))
    seen = normalise(both, ROBUST)
    np.testing.assert_allclose(seen[1], robust_zscore(volume(1)), atol=1e-3)
    assert seen.dtype == np.float32


def test_a_plain_zscore_is_that_of_monai_and_leaves_its_input_as_it_is():
    image = torch.from_numpy(np.stack([volume(0), 1000 * volume(1)]))[:, 3:20, 2:]
    before = image.clone()
    seen = normalise(image, PLAIN)
    assert torch.equal(image, before)
    np.testing.assert_array_equal(seen, NormalizeIntensity(channel_wise=True)(image))
