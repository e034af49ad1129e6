import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from trainers.augment.intensity import (
    add_noise,
    blur,
    contrast,
    draw_changes,
    gamma,
    lower_resolution,
    make_changes,
)
from trainers.augment.presets import LIGHT, NNUNET, Chance

COUNT = 3000


def voxels(shape=(10, 12, 8), seed=0):
    return torch.from_numpy(np.random.default_rng(seed).gamma(2, 1, shape).astype(np.float32) - 1)


def drawn(kind, channels=1, coarse=None, chance=None):
    """The arguments of `COUNT` draws, each a list of channels and keywords."""
    rng, chances = np.random.default_rng(3), {kind: chance or NNUNET.intensity[kind]}
    each = [draw_changes(chances, channels, coarse, rng) for _ in range(COUNT)]
    return [[(channel, change.keywords) for channel, change in changes] for changes in each]


def share(draws):
    return sum(map(bool, draws)) / len(draws)


# What nnU-Net's default says: probability, of which channels, least and greatest value


@pytest.mark.parametrize(
    ("kind", "probability"),
    [
        ("noise", 0.1),
        ("brightness", 0.15),
        ("contrast", 0.15),
        ("inverted_gamma", 0.1),
        ("gamma", 0.3),
        ("blur", 0.2 * 0.5),  # each channel half of the time
        ("low_resolution", 0.25 * 0.5),
    ],
)
def test_a_patch_gets_a_change_as_often_as_nnunet_says(kind, probability):
    deviation = np.sqrt(probability * (1 - probability) / COUNT)
    assert abs(share(drawn(kind)) - probability) < 4 * deviation


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("brightness", 0.75, 1.25), ("contrast", 0.75, 1.25), ("gamma", 0.7, 1.5)],
)
def test_factors_are_as_often_below_one_as_above(kind, low, high):
    found = [keywords["factor"] for draw in drawn(kind) for _, keywords in draw]
    assert low <= min(found) < low + 0.02 and high - 0.02 < max(found) <= high
    assert abs(np.mean(np.array(found) < 1) - 0.5) < 0.1
    below = [factor for factor in found if factor < 1]
    assert abs(np.mean(below) - (low + 1) / 2) < 0.02


def test_noise_is_as_strong_in_all_channels_and_another_in_each():
    draws = [draw for draw in drawn("noise", channels=2) if draw]
    for (_, first), (_, second) in draws:
        assert 0 <= first["deviation"] == second["deviation"] <= 0.1
        assert first["seed"] != second["seed"]


def test_blur_has_a_deviation_for_each_axis_and_half_of_the_channels():
    draws = drawn("blur", channels=2)
    assert abs(share(draws) - 0.2 * 0.75) < 0.03
    deviations = np.array([keywords["deviations"] for draw in draws for _, keywords in draw])
    assert deviations.shape[1] == 3
    assert 0.5 <= deviations.min() < 0.52 and 0.98 < deviations.max() <= 1


def test_a_coarse_axis_keeps_its_resolution():
    zooms = np.array([k["zooms"] for draw in drawn("low_resolution", coarse=1) for _, k in draw])
    assert (zooms[:, 1] == 1).all()
    assert (zooms[:, 0] == zooms[:, 2]).all()
    assert 0.5 <= zooms[:, 0].min() < 0.52 and 0.98 < zooms[:, 0].max() <= 1


def test_what_never_happens_draws_nothing():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert draw_changes(dict.fromkeys(NNUNET.intensity, Chance(0, 1, 2)), 2, None, rng) == []
    assert rng.bit_generator.state == before


def test_light_is_milder_than_nnunet():
    for kind, chance in LIGHT.intensity.items():
        assert NNUNET.intensity[kind].low <= chance.low <= chance.high
        assert chance.high <= NNUNET.intensity[kind].high


# What is done to the voxels


def test_noise_has_its_deviation_and_its_seed():
    x = voxels((40, 40, 40))
    noise = add_noise(x, 0.07, seed=5) - x
    assert abs(float(noise.std()) - 0.07) < 1e-3
    assert abs(float(noise.mean())) < 1e-3
    assert torch.equal(add_noise(x, 0.07, seed=5), add_noise(x, 0.07, seed=5))
    assert not torch.equal(add_noise(x, 0.07, seed=6), add_noise(x, 0.07, seed=5))


def test_blur_is_a_gaussian_along_each_axis():
    x = voxels((20, 20, 20))
    found = blur(x, [0.6, 1.0, 0.8])
    expected = gaussian_filter(x.numpy().astype(float), [0.6, 1.0, 0.8], mode="mirror", truncate=6)
    assert np.abs(found.numpy() - expected).max() < 0.02  # its kernels end at three deviations
    assert found.dtype == torch.float32


def test_blur_takes_an_axis_of_one_voxel():
    x = voxels((1, 9, 9))
    assert blur(x, [1.0, 0.5, 1.0]).shape == x.shape


def test_contrast_keeps_mean_and_range():
    x = voxels()
    less, more = contrast(x, 0.8), contrast(x, 1.2)
    torch.testing.assert_close(less, x.mean() + 0.8 * (x - x.mean()))
    assert x.min() <= more.min() and more.max() <= x.max()
    inside = (more > x.min()) & (more < x.max())
    torch.testing.assert_close(more[inside], (x.mean() + 1.2 * (x - x.mean()))[inside])


def test_a_lower_resolution_keeps_what_is_even_and_loses_what_is_fine():
    even = torch.full((8, 8, 8), 3.0)
    torch.testing.assert_close(lower_resolution(even, [0.5] * 3), even)
    fine = torch.tensor([0.0, 1.0]).repeat(8, 8, 4)  # along the last axis
    assert lower_resolution(fine, [0.5] * 3).std() == 0
    torch.testing.assert_close(lower_resolution(fine, [0.5, 0.5, 1]), fine)
    assert lower_resolution(fine[:1], [0.3] * 3).shape == (1, 8, 8)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("factor", [0.75, 1.4])
def test_gamma_and_contrast_are_monais(inverted, factor):
    from monai.transforms import AdjustContrast, ScaleIntensityFixedMean

    x = voxels()
    expected = AdjustContrast(factor, invert_image=inverted, retain_stats=True)(x).as_tensor()
    torch.testing.assert_close(gamma(x, factor, inverted), expected)
    expected = ScaleIntensityFixedMean(factor - 1, preserve_range=True)(x).as_tensor()
    torch.testing.assert_close(contrast(x, factor), expected)


def test_what_is_changed_is_a_copy():
    x = voxels()
    before = x.clone()
    for change in (gamma, contrast):
        assert not torch.equal(change(x, 1.3), before)
        assert torch.equal(x, before)


def test_an_image_of_one_value_stays_finite():
    image = np.full((1, 6, 6, 6), 2.0, np.float32)
    rng = np.random.default_rng(0)
    for _ in range(30):
        make_changes(image, draw_changes(NNUNET.intensity, 1, None, rng))
    assert np.isfinite(image).all()


def test_changes_are_made_to_their_channel_alone():
    image = np.stack([voxels().numpy()] * 3)
    before = image.copy()
    make_changes(image, [(1, lambda x: x + 1), (1, lambda x: 2 * x)])
    np.testing.assert_array_equal(image[[0, 2]], before[[0, 2]])
    np.testing.assert_array_equal(image[1], 2 * (before[1] + 1))
