"""Resampling by axis: beside other implementations, there and back, whole and in slabs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch.nn.functional import interpolate

from trainers.volumes import rows as rows_module
from trainers.volumes.geometry import Grid
from trainers.volumes.resample import Resampling, argmax_slab, orders, resample_labels

SHAPES = st.tuples(*[st.integers(1, 12)] * 3)
SPACINGS = st.tuples(*[st.sampled_from([0.7, 1.0, 1.5, 2.0, 10.0])] * 3)
ORDERS = st.tuples(*[st.sampled_from([0, 1, 3])] * 3)


def grid(shape, spacing=(1.0, 1.0, 1.0)) -> Grid:
    return Grid(shape, np.diag([*spacing, 1.0]))


def values(shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(SHAPES, SPACINGS, SPACINGS)
def test_a_new_grid_fills_the_same_extent_around_the_same_middle(shape, spacing, other):
    old = grid(shape, spacing)
    new = old.respaced(other)
    middles = [g.affine @ [*(np.array(g.shape) - 1) / 2, 1] for g in (old, new)]
    np.testing.assert_allclose(*middles, atol=1e-9)
    short = np.abs(np.multiply(shape, spacing) - np.multiply(new.shape, other))
    assert (short <= np.maximum(0.5, new.shape == np.ones(3)) * other).all()


@given(SHAPES, SPACINGS, ORDERS)
def test_equal_grids_change_no_bit(shape, spacing, order):
    same = Resampling.between(grid(shape, spacing), grid(shape, spacing), order)
    np.testing.assert_array_equal(same(values(shape)), values(shape))
    assert same.identity


@pytest.mark.parametrize("order", [0, 1])
@settings(max_examples=50, deadline=None)
@given(SHAPES, SPACINGS, SPACINGS)
def test_nearest_and_linear_are_those_of_scipy(order, shape, spacing, other):
    old = grid(shape, spacing)
    new = old.respaced(other)
    way = np.linalg.inv(old.affine) @ new.affine
    index = np.stack(np.meshgrid(*map(np.arange, new.shape), indexing="ij"))
    at = np.tensordot(way[:3, :3], index, 1) + way[:3, 3, None, None, None]
    if order == 0:
        at = np.floor(np.round(at, 6) + 0.5)  # scipy decides ties by rounding errors
    expected = map_coordinates(values(shape), at, order=order, mode="nearest")
    found = Resampling.between(old, new, (order,) * 3)(values(shape))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_cubic_is_that_of_torch():
    """Keys' a is -1/2 in torch where it smooths, which changes nothing towards finer voxels."""
    old = grid((1, 9, 11), (1.0, 2.0, 1.5))
    new = old.respaced((1.0, 1.0, 0.5))
    plane = torch.from_numpy(values(old.shape))[None]
    expected = interpolate(plane, new.shape[1:], mode="bicubic", antialias=True)[0]
    found = Resampling.between(old, new, (3, 3, 3))(values(old.shape))
    inner = (slice(None), slice(4, -4), slice(6, -6))  # torch renormalises at the border
    np.testing.assert_allclose(found[inner], expected.numpy()[inner], atol=1e-5)


def test_cubic_gives_a_quadratic_function_back():
    """Keys (1981): the error of a = -1/2 is of third order."""
    old = grid((3, 3, 40))
    new = old.respaced((1.0, 1.0, 0.73))
    x = np.arange(40.0)
    line = np.broadcast_to(0.3 * x**2 - 2 * x + 5, old.shape)
    found = Resampling.between(old, new, (3, 3, 3))(line)[1, 1]
    at = new.affine[2, 3] + 0.73 * np.arange(new.shape[2])
    inside = (at > 2) & (at < 37)
    np.testing.assert_allclose(found[inside], (0.3 * at**2 - 2 * at + 5)[inside], rtol=1e-4)


@settings(max_examples=100, deadline=None)
@given(SHAPES, SPACINGS, SPACINGS, ORDERS, st.integers(1, 200))
def test_in_slabs_it_is_what_it_is_whole(shape, spacing, other, order, slab):
    old = grid(shape, spacing)
    way = Resampling.between(old, old.respaced(other), order)
    all_rows = slice(0, way.shape[0])
    whole = way.slab(values(shape)[way.reads(all_rows)], all_rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "AT_ONCE", slab)
        np.testing.assert_array_equal(way(values(shape)), whole)


def test_a_slab_reads_no_more_than_it_needs():
    way = Resampling.between(grid((100, 4, 4)), grid((100, 4, 4)).respaced((0.5, 1, 1)), (1, 1, 1))
    assert way.reads(slice(50, 60)) == slice(24, 31)


def test_there_and_back_a_smooth_volume_is_as_it_was():
    at = np.stack(np.meshgrid(*[np.linspace(0, 3, n) for n in (20, 24, 28)], indexing="ij"))
    smooth = np.sin(at).sum(0).astype(np.float32)
    old = grid(smooth.shape, (1.0, 1.2, 1.5))
    new = old.respaced((0.8, 0.8, 0.8))
    finer = Resampling.between(old, new, (3, 3, 3))(smooth)
    back = Resampling.between(new, old, (3, 3, 3))(finer)
    inner = (slice(2, -2),) * 3
    np.testing.assert_allclose(back[inner], smooth[inner], atol=2e-3)


def test_slices_are_not_blurred_into_each_other():
    """10 mm slices, in plane finer: each new slice is one of the old, or of the plane's mixing."""
    old = grid((16, 16, 6), (1.5, 1.5, 10.0))
    new = old.respaced((1.0, 1.0, 5.0))
    assert orders(old, new, 3, 0) == (3, 3, 0) and orders(new, old, 3, 0) == (3, 3, 0)
    constant_slices = np.broadcast_to(values((6,)), old.shape)
    found = Resampling.by_axis(old, new, 3, 0)(constant_slices)
    np.testing.assert_allclose(found, np.broadcast_to(np.repeat(values((6,)), 2), new.shape), 1e-5)


@pytest.mark.parametrize(
    ("spacing", "other", "expected"),
    [
        ((1, 1, 3), (1, 1, 1), (3, 3, 3)),
        ((1, 1, 3.1), (1, 1, 1), (3, 3, 0)),
        ((1, 1, 1), (5, 1, 1), (0, 3, 3)),
        ((1, 5, 5), (1, 1, 1), (3, 3, 3)),  # of two nnU-Net calls none anisotropic
    ],
)
def test_an_axis_is_anisotropic_over_three_times_the_finest(spacing, other, expected):
    old = grid((8, 8, 8), spacing)
    assert orders(old, old.respaced(other), 3, 0) == expected


@settings(max_examples=50, deadline=None)
@given(SHAPES, SPACINGS, SPACINGS, ORDERS, st.integers(1, 200))
def test_labels_are_the_class_of_the_largest_share(shape, spacing, other, order, slab):
    """Beside all classes at once; what is one class alone stays so."""
    order = tuple(min(one, 1) for one in order)
    labels = np.random.default_rng(0).choice(np.array([0, 1, 7], np.uint8), shape)
    old = grid(shape, spacing)
    way = Resampling.between(old, old.respaced(other), order)
    shares = np.stack([way(labels == c) for c in (0, 1, 7)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "AT_ONCE", slab)
        found = resample_labels(labels, way)
    assert found.dtype == np.uint8 and found.shape == way.shape
    np.testing.assert_array_equal(found, np.array([0, 1, 7])[shares.argmax(0)])


def test_the_largest_of_scores_on_disk(tmp_path):
    logits = np.lib.format.open_memmap(tmp_path / "l.npy", "w+", np.float32, (3, 9, 8, 7))
    logits[:] = values(logits.shape)
    old = grid((9, 8, 7))
    way = Resampling.between(old, old.respaced((0.6, 0.8, 1.3)), (1, 1, 1))
    rows = slice(3, 8)
    found = argmax_slab((volume[way.reads(rows)] for volume in logits), way, rows)
    np.testing.assert_array_equal(found, np.stack([way(v) for v in logits]).argmax(0)[rows])


def test_grids_that_are_turned_are_refused():
    turned = np.array([[0, 1.0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    with pytest.raises(ValueError, match="not parallel"):
        Resampling.between(grid((4, 4, 4)), Grid((4, 4, 4), turned), (1, 1, 1))
