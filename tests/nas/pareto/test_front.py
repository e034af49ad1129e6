import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nas.pareto.front import front, knee, non_dominated, objective_points
from tests.nas.results import flat_result
from trainers.errors import UserError

# Few distinct values, so that ties and equal rows are common.
VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, np.inf, np.nan])
POINTS = arrays(float, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=VALUES)


def result(key, dice=None, params=None, macs=None, latency_ms=None, state="complete"):
    return flat_result(
        key=key, state=state, dice=dice, params=params, macs=macs, latency_ms=latency_ms
    )


def dominates(a, b):
    """The definition, one pair at a time: nowhere worse and somewhere better."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(
        x < y for x, y in zip(a, b, strict=True)
    )


def test_only_points_that_nothing_beats_are_kept():
    points = np.array([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0], [4.0, 1.0], [4.0, 2.0]])
    assert non_dominated(points).tolist() == [True, True, False, True, False]


def test_equal_points_are_both_kept():
    points = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 2.0]])
    assert non_dominated(points).tolist() == [True, True, False]


def test_a_row_with_nan_is_not_kept_and_dominates_nothing():
    points = np.array([[0.0, np.nan], [1.0, 1.0]])
    assert non_dominated(points).tolist() == [False, True]


def test_no_points_give_an_empty_mask():
    assert non_dominated(np.empty((0, 3))).shape == (0,)


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        non_dominated(np.array([1.0, 2.0, 3.0]))


@given(POINTS)
def test_the_mask_is_the_definition(points):
    valid = [row for row in points if not np.isnan(row).any()]
    expected = [
        not np.isnan(row).any() and not any(dominates(other, row) for other in valid)
        for row in points
    ]
    assert non_dominated(points).tolist() == expected


@given(POINTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(points, random):
    order = random.sample(range(len(points)), len(points))
    assert non_dominated(points[order]).tolist() == non_dominated(points)[order].tolist()


def test_knee_is_the_bend_of_the_front():
    # Scaled to [0, 1]: (0, 1), (.25, .25), (1, 0): distances 1, .35, 1.
    assert knee(np.array([[0.0, 8.0], [1.0, 2.0], [4.0, 0.0]])) == 1


def test_knee_sees_decades_on_a_log_axis():
    # Distances in log10: 1, |(1/3, .3)| = .45, |(2/3, .1)| = .67, 1. On a linear axis the third
    # would win: |(.009, .3)| = .30 against |(.099, .1)| = .14.
    points = np.array([[1e3, 1.0], [1e4, 0.3], [1e5, 0.1], [1e6, 0.0]])
    assert knee(points) == 1


def test_knee_of_one_or_two_members():
    assert knee(np.array([[3.0, -0.9]])) == 0
    # Both are 1 away from the ideal point: the smaller first objective decides.
    assert knee(np.array([[3.0, -0.9], [2.0, -0.8]])) == 1


def test_a_constant_column_does_not_move_the_knee():
    points = np.array([[0.0, 8.0, 7.0], [1.0, 2.0, 7.0], [4.0, 0.0, 7.0]])
    assert knee(points) == 1


def test_knee_of_nothing_is_refused():
    with pytest.raises(ValueError, match="front"):
        knee(np.empty((0, 2)))


def test_knee_follows_its_member_through_every_order():
    points = np.array([[-0.9, 100.0], [-0.85, 20.0], [-0.7, 10.0], [-0.9, 100.0]])
    for order in itertools.permutations(range(4)):
        assert points[order[knee(points[list(order)])]].tolist() == [-0.85, 20.0]


def test_objective_points_negate_dice_and_leave_the_unknown_nan():
    results = [result("a", dice=0.9, params=10), result("b", params=5)]
    points = objective_points(results, ("params", "dice"))
    np.testing.assert_array_equal(points, [[10.0, -0.9], [5.0, np.nan]])
    assert objective_points([], ("params", "dice")).shape == (0, 2)


def test_an_unknown_objective_is_named():
    with pytest.raises(ValueError, match="hd95"):
        objective_points([], ("dice", "hd95"))


def test_front_holds_complete_results_only_smallest_first():
    results = [
        result("large", dice=0.90, params=300),
        result("beaten", dice=0.80, params=200),
        result("small", dice=0.85, params=100),
        result("refused", params=1, state="infeasible"),
    ]
    assert [member.key for member in front(results, ("dice", "params"))] == ["small", "large"]


def test_a_member_may_earn_its_place_by_latency_alone():
    results = [
        result("a", dice=0.9, params=100, latency_ms=5.0),
        result("b", dice=0.8, params=200, latency_ms=2.0),
    ]
    assert [m.key for m in front(results, ("dice", "params"))] == ["a"]
    assert [m.key for m in front(results, ("dice", "params", "latency_ms"))] == ["a", "b"]


def test_latencies_of_several_devices_are_refused():
    results = [
        replace(result(key, dice=0.5, params=1, latency_ms=1.0), device=device)
        for key, device in (("a", "a workstation"), ("b", "a card"))
    ]
    with pytest.raises(UserError, match="a card, a workstation"):
        front(results, ("dice", "latency_ms"))
    assert len(front(results, ("dice", "params"))) == 2
