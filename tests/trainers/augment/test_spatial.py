import numpy as np
import pytest
from scipy.ndimage import affine_transform

from trainers.augment.presets import LIGHT, NNUNET, Chance, Preset
from trainers.augment.spatial import Turn, coarse_axis, draw_matrix, read_turned

SHAPE = (20, 26, 18)
ALWAYS = Preset(
    rotation=Chance(1, -30, 30), in_plane=Chance(1, -180, 180), scaling=Chance(1, 0.7, 1.4)
)


def volume(seed=0):
    """An image of two channels that lies about nothing: the second is the label itself."""
    rng = np.random.default_rng(seed)
    label = (rng.random(SHAPE) < 0.3).astype(np.uint8)
    label[4:12, 6:20, 5:9] = 1  # no axis is like another, no end like the other
    label[12:15, 6:9, 9:12] = 1
    return np.stack([rng.standard_normal(SHAPE), label]).astype(np.float32), label


def draws(preset, coarse, count=2000):
    rng = np.random.default_rng(1)
    return [draw_matrix(preset, coarse, rng) for _ in range(count)]


@pytest.mark.parametrize("patch", [(8, 10, 6), SHAPE, (30, 30, 30), (1, 24, 24)])
@pytest.mark.parametrize("place", [(9, 12, 8), (4, 20, 8), (0, 0, 16)])
@pytest.mark.parametrize(
    ("coarse", "between"), [(None, 0), (0, 0), (1, 0), (2, 0), (1, 0.3)]
)  # slice by slice, but where it lies between voxels
def test_a_turned_patch_is_what_scipy_reads(patch, place, coarse, between):
    image, label = volume()
    middle = np.array(place) + (np.array(patch) - 1) / 2 % 1 + between
    rng = np.random.default_rng(2)
    for _ in range(3):
        matrix = draw_matrix(ALWAYS, coarse, rng)
        found, found_label = read_turned(image, label, Turn(matrix, middle), patch)
        offset = middle - matrix @ ((np.array(patch) - 1) / 2)
        for channel in range(2):
            expected = affine_transform(
                image[channel], matrix, offset, patch, order=1, mode="grid-constant"
            )
            np.testing.assert_allclose(found[channel], expected, atol=1e-4)
        nearest = affine_transform(label, matrix, offset, patch, order=0, mode="grid-constant")
        assert np.mean(found_label != nearest) < 1e-3  # ties between two voxels


def test_a_label_that_is_painted_into_the_image_stays_where_it_is():
    image, label = volume()
    for seed in range(20):
        matrix = draw_matrix(ALWAYS, None, np.random.default_rng(seed))
        turn = Turn(matrix, np.array([9.5, 12, 8]))
        found, turned = read_turned(image, label, turn, (16, 16, 16))
        assert turned.dtype == label.dtype
        assert 0 < turned.mean() < 1
        # The nearest voxel has a weight of an eighth at least.
        assert found[1][turned == 1].min() >= 0.124
        assert found[1][turned == 0].max() <= 0.876


def test_a_quarter_turn_in_the_plane_is_exact():
    image, label = volume()
    preset = Preset(in_plane=Chance(1, 90, 90))
    matrix = draw_matrix(preset, 0, np.random.default_rng(0))
    patch = (6, 8, 8)
    box = np.s_[4:10, 6:14, 3:11]
    middle = np.array([6.5, 9.5, 6.5])
    found, turned = read_turned(image, label, Turn(matrix, middle), patch)
    quarters = [np.rot90(label[box], times, (1, 2)) for times in (1, 3)]
    [times] = [k for k, each in zip((1, 3), quarters, strict=True) if (each == turned).all()]
    np.testing.assert_allclose(found, np.rot90(image[:, *box], times, (2, 3)), atol=1e-4)


def test_no_corner_is_missing_inside_a_volume():
    """As nnU-Net, but for turns that its larger region does not hold."""
    ones = np.ones((1, 60, 60, 60), np.float32)
    for matrix in draws(ALWAYS, None, 50):
        turn = Turn(matrix, np.array([29.5] * 3))
        found, label = read_turned(ones, ones[0].astype(np.uint8), turn, (16, 16, 16))
        np.testing.assert_allclose(found, 1, atol=1e-5)
        assert label.all()


def test_only_the_box_around_a_patch_is_read():
    read = []

    class Watched(np.ndarray):
        def __getitem__(self, key):
            found = super().__getitem__(key)
            read.append(found.shape)
            return found

    image, label = np.zeros((1, 100, 100, 100), np.float32).view(Watched), np.zeros((100,) * 3)
    read_turned(image, label, Turn(np.eye(3) * 1.2, np.array([50.0] * 3)), (10, 10, 10))
    assert read == [(1, 13, 13, 13)]  # 44 to 56: 50 +- 1.2 * 4.5, and their neighbours


def test_how_often_and_how_far_nnunet_rotates_and_scales():
    matrices = draws(NNUNET, None)
    drawn = [matrix for matrix in matrices if matrix is not None]
    assert abs(len(drawn) / len(matrices) - (1 - 0.8**2)) < 0.03
    factors = [np.cbrt(np.linalg.det(matrix)) for matrix in drawn]
    scaled = [factor for factor in factors if abs(factor - 1) > 1e-9]
    assert abs(len(scaled) / len(matrices) - 0.2) < 0.03
    assert 0.7 < min(scaled) < 0.75 and 1.35 < max(scaled) < 1.4
    turned = [m for m, f in zip(drawn, factors, strict=True) if not np.allclose(m, np.eye(3) * f)]
    assert abs(len(turned) / len(matrices) - 0.2) < 0.03
    for matrix, factor in zip(drawn, factors, strict=True):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3) * factor**2, atol=1e-9)


def test_the_factor_is_above_one_where_things_become_smaller():
    image, label = volume()
    large = Turn(np.eye(3) * 1.3, np.array([9.5, 12.5, 8.5]))
    plain = Turn(np.eye(3), large.middle)
    labels = [read_turned(image, label, turn, (20, 26, 18))[1] for turn in (plain, large)]
    assert labels[1].sum() < labels[0].sum() * 0.7


@pytest.mark.parametrize("coarse", [0, 1, 2])
@pytest.mark.parametrize("preset", [NNUNET, LIGHT])
def test_nothing_leaves_its_plane_where_an_axis_is_coarse(preset, coarse):
    unit = np.eye(3)[coarse]
    drawn = [matrix for matrix in draws(preset, coarse, 300) if matrix is not None]
    assert len(drawn) > 50
    for matrix in drawn:
        assert (matrix[coarse] == unit).all() and (matrix[:, coarse] == unit).all()


def test_nnunet_turns_a_plane_all_around_and_light_a_little():
    def angles(preset, coarse):
        found = [np.arctan2(m[1, 0], m[0, 0]) for m in draws(preset, coarse) if m is not None]
        return np.abs(np.rad2deg(found)).max()

    assert 175 < angles(NNUNET, 2) <= 180
    assert 14 < angles(LIGHT, 2) <= 15
    assert 14 < angles(LIGHT, None) <= 15  # about the last axis


@pytest.mark.parametrize(
    ("patch", "voxel_size", "axis"),
    [
        ((64, 64, 64), (1, 1, 1), None),
        ((64, 64, 64), None, None),
        ((128, 128, 8), (1.5, 1.5, 10), 2),
        ((64, 64, 32), (1.5, 1.5, 10), 2),
        ((64, 64, 22), (1, 1, 3), None),  # nowhere more than three times
        ((21, 64, 64), None, 0),
        ((64, 20, 64), (1, 1, 1), 1),
    ],
)
def test_an_axis_is_coarse_from_three_times_on(patch, voxel_size, axis):
    assert coarse_axis(patch, voxel_size) == axis
