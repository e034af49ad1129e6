"""Surface distances against shapes known by hand, and against every pair of voxels."""

import itertools

import numpy as np
import pytest

from trainers.surface import surface_per_class

MM = (1.0, 0.7, 2.5)


def cube(low, high, shape=(16, 16, 16)):
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 1
    return mask


def surface(mask):
    """Voxels with a neighbour through a face outside of the mask, by looking at each."""
    found = []
    for voxel in zip(*np.nonzero(mask), strict=True):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            other = list(voxel)
            other[axis] += step
            outside = not 0 <= other[axis] < mask.shape[axis]
            if outside or not mask[tuple(other)]:
                found.append(voxel)
                break
    return np.array(found)


def by_every_pair(a, b, spacing, tolerance):
    """HD95, ASSD, NSD and HD from the table of all distances between both surfaces."""
    a, b = surface(a) * np.array(spacing), surface(b) * np.array(spacing)
    table = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    one, other = table.min(1), table.min(0)
    hd95 = max(np.percentile(one, 95), np.percentile(other, 95))
    both = [*one, *other]
    nsd = sum(d <= tolerance for d in both) / len(both)
    return hd95, sum(both) / len(both), nsd, max(both)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), MM])
def test_random_masks_agree_with_every_pair_of_surface_voxels(seed, spacing):
    random = np.random.default_rng(seed)
    a, b = (random.integers(0, 3, (7, 9, 8)) for _ in range(2))
    found = surface_per_class(a, b, 3, spacing, tolerance=0.9)
    for label in (1, 2):
        expected = by_every_pair(a == label, b == label, spacing, 0.9)
        np.testing.assert_allclose(found[label - 1], expected, rtol=1e-6)


def test_sparse_masks_at_the_border_agree_with_every_pair():
    random = np.random.default_rng(9)
    a, b = (random.random((12, 10, 9)) > 0.97 for _ in range(2))
    a[0, 0, 0] = b[-1, -1, -1] = True
    found = surface_per_class(a.astype(np.uint8), b.astype(np.uint8), 2, MM, 2.0)
    np.testing.assert_allclose(found[0], by_every_pair(a, b, MM, 2.0), rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_box_shifted_by_three_voxels(axis):
    """The far faces are 3 voxels apart: HD95 is that, in mm of the axis of the shift.

    Of a face of 10 x 10 more than 5% of the surface's 488 voxels lies 3 voxels away.
    """
    low, high = [3, 3, 3], [13, 13, 13]
    moved = [[x + 3 * (i == axis) for i, x in enumerate(corner)] for corner in (low, high)]
    found = surface_per_class(cube(low, high), cube(*moved), 2, MM, 1.0)
    assert found[0, 0] == pytest.approx(3 * MM[axis])


def test_two_points_by_hand():
    """3 and 4 voxels of 1 mm apart: 5 mm, seen from both sides."""
    a, b = cube((2, 2, 2), (3, 3, 3)), cube((5, 6, 2), (6, 7, 3))
    found = surface_per_class(a, b, 2, (1.0, 1.0, 1.0), tolerance=5.0)
    np.testing.assert_allclose(found, [[5.0, 5.0, 1.0, 5.0]])
    found = surface_per_class(a, b, 2, (1.0, 1.0, 1.0), tolerance=4.9)
    np.testing.assert_allclose(found, [[5.0, 5.0, 0.0, 5.0]])


def test_two_plates_by_hand():
    """One voxel thick and 2 apart along 2.5 mm: every voxel is 5 mm from the other plate."""
    a, b = cube((0, 0, 4), (16, 16, 5)), cube((0, 0, 6), (16, 16, 7))
    np.testing.assert_allclose(surface_per_class(a, b, 2, MM, 1.0), [[5.0, 5.0, 0.0, 5.0]])


@pytest.mark.parametrize("step", [0.1, 0.3, 0.7, 1.1, 1.3])
def test_a_distance_of_exactly_the_tolerance_counts(step):
    """Though neither the spacing in the file nor the distance is exact."""
    a, b = cube((4, 4, 4), (5, 5, 5)), cube((5, 4, 4), (6, 5, 5))
    spacing = (float(np.float32(step)), 1.0, 1.0)
    assert surface_per_class(a, b, 2, spacing, tolerance=step)[0, 2] == 1.0


def test_a_perfect_segmentation():
    mask = cube((0, 3, 3), (5, 9, 16))
    np.testing.assert_array_equal(surface_per_class(mask, mask, 2, MM, 0.0), [[0, 0, 1, 0]])


def test_both_sides_are_treated_alike():
    a, b = cube((1, 1, 1), (9, 9, 5)), cube((3, 2, 1), (14, 8, 11))
    one, other = (surface_per_class(*pair, 2, MM, 1.0) for pair in ((a, b), (b, a)))
    np.testing.assert_allclose(one, other)


def test_a_class_in_neither_or_in_one_only():
    """Class 1 in the prediction, 2 in the truth, 3 in neither."""
    a, b = cube((1, 1, 1), (4, 4, 4)), 2 * cube((1, 1, 1), (4, 4, 4))
    found = surface_per_class(a, b, 4, MM, 1.0)
    nan = np.nan
    np.testing.assert_array_equal(found, [[nan, nan, 0, nan], [nan, nan, 0, nan], [nan] * 4])


def disc(radius, thin):
    """In a single slice of 41 x 41, across the axis `thin`."""
    rows, columns = np.mgrid[-20:21, -20:21]
    return np.expand_dims(rows**2 + columns**2 <= radius**2, thin).astype(np.uint8)


@pytest.mark.parametrize("thin", [0, 1, 2])
def test_the_surface_in_a_single_slice_is_its_outline(thin):
    """Discs of 10 and 12 mm about one middle: 2 mm apart everywhere, to a part of a pixel."""
    spacing = np.insert([1.0, 1.0], thin, 7.0)
    found = surface_per_class(disc(10, thin), disc(12, thin), 2, spacing, tolerance=0.9)
    hd95, assd, nsd, hd = found[0]
    assert (hd95, assd, hd) == pytest.approx((2, 2, 2), abs=0.5)
    assert nsd == 0
    flat = by_every_pair(disc(10, 2)[..., 0], disc(12, 2)[..., 0], (1.0, 1.0), 0.9)
    np.testing.assert_allclose(found[0], flat)


def test_a_part_of_one_slice_of_a_volume_is_a_plate():
    """Its voxels have the faces through which the volume goes on."""
    masks = disc(10, 2), disc(12, 2)
    volume = [np.pad(mask, ((0, 0), (0, 0), (1, 1))) for mask in masks]
    expected = surface_per_class(*volume, 2, MM, 1.0)
    part = surface_per_class(*masks, 2, MM, 1.0, whole=volume[0].shape)
    np.testing.assert_allclose(part, expected)
    assert expected[0, 1] < 0.5


def test_a_volume_of_one_voxel_has_its_surface_there():
    one = np.ones((1, 1, 1), np.uint8)
    np.testing.assert_array_equal(surface_per_class(one, one, 2, MM, 1.0), [[0, 0, 1, 0]])


@pytest.mark.parametrize("mm", [1.0, 1e-5])
def test_the_tolerance_is_as_exact_as_small_voxels_are(mm):
    """Two planes that are two voxels apart, one of nanometres or one of millimetres."""
    predicted, truth = np.zeros((2, 9, 4, 4), np.uint8)
    predicted[2], truth[4] = 1, 1
    for voxels, share in ((1, 0.0), (2, 1.0)):
        [[*_, nsd, _]] = surface_per_class(predicted, truth, 2, [mm] * 3, voxels * mm)
        assert nsd == share
