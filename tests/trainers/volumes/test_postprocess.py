"""Steps after the network, on shapes whose millimetres are known by hand."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from tests.trainers.oracle import CROOKED
from trainers.volumes.postprocess import postprocess
from trainers.volumes.steps import Place, Steps

CLASSES = ("background", "liver", "kidney", "spleen")
MM = np.diag([1.0, 2.0, 3.0, 1.0])


def boxes(*placed, shape=(20, 20, 20)):
    """Labels with a box of each (label, (low, high) of each axis)."""
    labels = np.zeros(shape, np.uint8)
    for label, *sides in placed:
        labels[tuple(slice(*side) for side in sides)] = label
    return labels


def after(labels, affine=MM, **steps):
    """Of the liver."""
    return postprocess(labels, affine, CLASSES, {"liver": Steps(**steps)})


LARGE, SMALL = (1, (2, 8), (2, 8), (2, 8)), (1, (14, 16), (14, 16), (14, 16))
KIDNEYS = [(2, (0, 1), (0, 1), (0, 1)), (2, (18, 20), (18, 20), (18, 20))]


@pytest.mark.parametrize(
    "steps", [{"components": 1}, {"volume_mm3": 49}, {"opening_mm": 2.0, "components": 1}]
)
def test_an_island_goes_and_other_classes_stay(steps):
    """Of 2 x 2 x 2 voxels of 6 mm3: 48 mm3."""
    labels = boxes(LARGE, SMALL, *KIDNEYS)
    found = after(labels, **steps)
    assert found.dtype == labels.dtype
    assert not found[14:16, 14:16, 14:16].any()
    np.testing.assert_array_equal(found == 2, labels == 2)
    assert (found == 1).sum() > 0 and ((found == 1) <= (labels == 1)).all()


@pytest.mark.parametrize("steps", [{"components": 2}, {"volume_mm3": 48.0}])
def test_an_island_that_is_large_enough_stays(steps):
    labels = boxes(LARGE, SMALL)
    np.testing.assert_array_equal(after(labels, **steps), labels)


@pytest.mark.parametrize("mm", [1.0, 1e-3])
@pytest.mark.parametrize(("voxels", "stays"), [(8, True), (9, False)])
def test_a_volume_is_one_of_a_microscopes_voxels_too(mm, voxels, stays):
    """The small box has eight voxels."""
    found = after(boxes(LARGE, SMALL), np.diag([mm, mm, mm, 1.0]), volume_mm3=voxels * mm**3)
    assert (found[14:16, 14:16, 14:16] == 1).all() == stays


def test_voxels_that_meet_in_a_corner_are_one_component():
    labels = boxes((1, (2, 4), (2, 4), (2, 4)), (1, (4, 5), (4, 5), (4, 5)))
    np.testing.assert_array_equal(after(labels, components=1), labels)


def test_a_volume_that_none_has_leaves_nothing():
    assert not after(boxes(LARGE), volume_mm3=6 * 6**3 + 1).any()
    assert after(boxes(LARGE), volume_mm3=6 * 6**3).any()


def ball(radius):
    """Voxels of MM whose middle is at most so far away, as a structure for SciPy."""
    reach = [int(radius // mm) for mm in (1, 2, 3)]
    structure = np.zeros([2 * n + 1 for n in reach], bool)
    for voxel in product(*(range(-n, n + 1) for n in reach)):
        away = np.linalg.norm(np.array(voxel) * (1, 2, 3))
        structure[tuple(np.add(voxel, reach))] = away <= radius
    return structure


@pytest.mark.parametrize("radius", [1.0, 2.0, 3.7])
def test_opening_and_closing_are_scipys_with_a_ball_of_millimetres(radius):
    blobs = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(20, 20, 20)), 1.5) > 0.01
    blobs[:, :, :4] = blobs[:, :, -4:] = False
    blobs[:4] = blobs[-4:] = blobs[:, :4] = blobs[:, -4:] = False
    labels = blobs.astype(np.uint8)
    for name, operation in (
        ("opening_mm", ndimage.binary_opening),
        ("closing_mm", ndimage.binary_closing),
    ):
        found = after(labels, **{name: radius}) == 1
        np.testing.assert_array_equal(found, operation(blobs, ball(radius)))
        assert (found != blobs).any()


def test_closing_takes_nothing_at_the_border_and_nothing_from_others():
    labels = boxes((1, (0, 4), (0, 20), (0, 20)), (1, (6, 10), (0, 20), (0, 20)))
    labels[4, 10, 10] = 3
    found = after(labels, closing_mm=2.0)
    assert found[4, 10, 10] == 3
    assert (found[labels == 1] == 1).all()
    gap = found[4:6, 1:-1]  # beyond its ends there is background, where a ball has room
    assert (gap == 1).sum() == gap.size - 1 and not found[10:].any()


@pytest.mark.parametrize("shape", [(20, 20, 20), (20, 20, 1)])
def test_a_hole_is_filled_where_it_is_background(shape):
    """In a single slice a ring has a hole; in a stack of slices it needs a floor and a lid."""
    labels = boxes((1, (2, 9), (2, 9), (2, 9)), shape=shape)
    if shape[2] == 1:
        labels[2:9, 2:9] = 1
    whole = labels.copy()
    labels[4:6, 4:6, shape[2] // 4] = 0
    labels[6, 6, shape[2] // 4] = 2
    whole[6, 6, shape[2] // 4] = 2
    np.testing.assert_array_equal(after(labels, holes=True), whole)


def test_what_a_step_dropped_in_a_hole_is_filled_again():
    """A loose piece within the class is no other class."""
    labels = boxes((1, (2, 11), (2, 11), (2, 11)), (0, (4, 9), (4, 9), (4, 9)))
    whole = boxes((1, (2, 11), (2, 11), (2, 11)))
    labels[6, 6, 6] = 1
    np.testing.assert_array_equal(after(labels, components=1, holes=True), whole)


def test_what_opening_took_from_a_gap_is_closed_again():
    """A sheet of one voxel between slabs, which a ball of one voxel does not fit into."""
    labels = boxes((1, (2, 6), (0, 20), (0, 20)), (1, (9, 13), (0, 20), (0, 20)))
    closed = after(labels, closing_mm=2.0)
    labels[7, 5:15, 5:15] = 1
    found = after(labels, opening_mm=1.0, closing_mm=2.0)
    np.testing.assert_array_equal(found[:, 5:15, 5:15], closed[:, 5:15, 5:15])


def test_a_tunnel_is_no_hole():
    labels = boxes((1, (2, 9), (2, 9), (2, 9)))
    labels[4, 4, :] = 0
    np.testing.assert_array_equal(after(labels, holes=True), labels)


def test_opening_of_a_single_slice_is_within_it():
    labels = boxes(
        (1, (2, 12), (2, 12), (0, 1)), (1, (15, 16), (15, 16), (0, 1)), shape=(20, 20, 1)
    )
    found = after(labels, np.diag([1, 1, 999.0, 1]), opening_mm=1.0)
    assert found[15, 15, 0] == 0 and 80 < found.sum() <= 100


def test_the_component_that_touches_its_neighbour_stays_though_it_is_smaller():
    labels = boxes(LARGE, SMALL, (2, (16, 18), (14, 16), (14, 16)))
    found = after(labels, touches=("kidney",), components=1)
    assert not found[2:8, 2:8, 2:8].any() and (found[14:16, 14:16, 14:16] == 1).all()
    apart = boxes(LARGE, SMALL, (2, (18, 20), (14, 16), (14, 16)))
    np.testing.assert_array_equal(after(apart, touches=("kidney",)), apart)  # then all stay


@pytest.mark.parametrize("affine", [MM, CROOKED])
def test_the_component_in_its_place_stays(affine):
    """Places are in the patient's millimetres, whatever the voxels' axes are."""
    labels = boxes(LARGE, SMALL, (2, (9, 12), (9, 12), (9, 12)))
    middles = [affine[:3, :3] @ np.full(3, n) + affine[:3, 3] for n in (4.5, 14.5, 10.0)]
    large, small, kidney = middles
    for kept, gone in ((large, slice(14, 16)), (small, slice(2, 8))):
        place = Place("kidney", tuple(kept - kidney - 1), tuple(kept - kidney + 1))
        found = after(labels, affine, places=(place,))
        assert not found[gone, gone, gone].any() and (found == 1).any()
    nowhere = Place("kidney", (500.0,) * 3, (501.0,) * 3)
    np.testing.assert_array_equal(after(labels, affine, places=(nowhere,)), labels)
    absent = Place("spleen", (500.0,) * 3, (501.0,) * 3)
    np.testing.assert_array_equal(after(labels, affine, places=(absent,)), labels)


def test_a_class_that_is_not_there_stays_so():
    labels = boxes(LARGE)
    steps = {"kidney": Steps(components=1, holes=True, opening_mm=1, closing_mm=1, volume_mm3=9)}
    np.testing.assert_array_equal(postprocess(labels, MM, CLASSES, steps), labels)
    empty = np.zeros((4, 4, 4), np.uint8)
    np.testing.assert_array_equal(postprocess(empty, MM, CLASSES, steps), empty)


def test_no_class_depends_on_what_became_of_another():
    """The kidney's island that the liver touched is gone; the liver touched it all the same."""
    labels = boxes(LARGE, SMALL, (2, (16, 17), (14, 16), (14, 16)), (2, (0, 9), (16, 20), (0, 9)))
    steps = {"liver": Steps(touches=("kidney",)), "kidney": Steps(components=1)}
    found = postprocess(labels, MM, CLASSES, steps)
    turned = postprocess(labels, MM, CLASSES, dict(reversed(steps.items())))
    np.testing.assert_array_equal(found, turned)
    assert (found[14:16, 14:16, 14:16] == 1).all() and not (found[16, 14:16, 14:16]).any()


@pytest.mark.parametrize(("outer", "inner"), [(1, 2), (2, 1)])
def test_a_hole_is_of_the_class_that_it_is_in_whatever_that_one_is_in(outer, inner):
    """As one in the cavity of a heart, which lies in the muscle."""
    labels = boxes((outer, *[(2, 12)] * 3), (inner, *[(4, 10)] * 3), (0, *[(6, 8)] * 3))
    steps = dict.fromkeys(("liver", "kidney"), Steps(holes=True))
    filled = boxes((outer, *[(2, 12)] * 3), (inner, *[(4, 10)] * 3))
    np.testing.assert_array_equal(postprocess(labels, MM, CLASSES, steps), filled)


def test_steps_say_what_they_do():
    told = Steps(opening_mm=1.5, touches=("kidney",), volume_mm3=120.0, components=2, holes=True)
    assert str(told) == (
        "opening by 1.5 mm, components that touch kidney, components of 120 mm3 and more, the 2 "
        "largest components, holes filled"
    )
    assert str(Steps()) == "nothing" and Steps().used() == {}
