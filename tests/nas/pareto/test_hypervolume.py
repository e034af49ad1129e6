from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.pareto.hypervolume import hypervolume, missing_points, pareto_ranks, ranks
from nas.pareto.objectives import objective
from tests.nas.results import flat_result


def result(key, dice, params, state="complete", **changes):
    return flat_result(key=key, state=state, dice=dice, params=params, **changes)


def test_ranks_peel_one_front_after_the_other():
    points = np.array([[1, 4], [2, 2], [4, 1], [2, 4], [4, 2], [5, 5]], dtype=float)
    assert pareto_ranks(points).tolist() == [1, 1, 1, 2, 2, 3]


def test_equal_points_have_one_rank_and_nan_none():
    points = np.array([[1, 1], [1, 1], [np.nan, 0], [2, 2]], dtype=float)
    assert pareto_ranks(points).tolist() == [1, 1, 0, 2]


def test_no_points_have_no_ranks():
    assert pareto_ranks(np.empty((0, 2))).tolist() == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_a_rank_is_one_more_than_the_worst_that_dominates(rows):
    points = np.array(rows, dtype=float).reshape(-1, 3)
    found = pareto_ranks(points)
    for i, point in enumerate(points):
        above = [
            found[j]
            for j, other in enumerate(points)
            if (other <= point).all() and (other < point).any()
        ]
        assert found[i] == 1 + max(above, default=0)


def test_only_complete_results_are_ranked():
    results = [result("a", 0.9, 10), result("b", 0.8, 20), result("c", None, 5, "stopped")]
    assert ranks(results, ("dice", "params")) == {"a": 1, "b": 2}


def test_the_hypervolume_is_the_share_between_the_spans():
    # 10^4 of 10^2 to 10^9 parameters, 10 ms of 10^-2 to 10^5: five and four of seven decades.
    one = result("a", 0.5, 10_000, latency_ms=10.0)
    found = hypervolume([one], ("dice", "params", "latency_ms"))
    assert found == pytest.approx(0.5 * 5 / 7 * 4 / 7)


def test_all_there_can_be_is_one_and_nothing_is_zero():
    assert hypervolume([result("a", 1.0, 1)], ("dice", "params")) == 1.0
    assert hypervolume([result("a", 1.0, objective("params").span[1])], ("dice", "params")) == 0.0
    assert hypervolume([result("a", None, 10, "infeasible")], ("dice", "params")) == 0.0


RESULTS = st.lists(
    # All of them above the reference, whichever is the best.
    st.tuples(st.floats(0.9, 1), st.integers(1, 10**10), st.booleans()),
    min_size=1,
    max_size=8,
)


@settings(max_examples=50, deadline=None)
@given(RESULTS, st.sets(st.integers(1, 8)))
def test_a_curve_with_gaps_filled_in_another_order_never_falls(rows, gaps):
    results = [
        result(str(i), dice if whole else None, params, "complete" if whole else "stopped")
        for i, (dice, params, whole) in enumerate(rows)
    ]
    objectives = ("dice", "params")
    known = dict(missing_points({}, results, objectives))
    kept = {ended: value for ended, value in known.items() if ended not in gaps}
    filled = kept | dict(missing_points(kept, results[::-1], objectives))
    curve = [filled[ended] for ended in sorted(filled)]
    assert sorted(filled) == list(range(1, len(results) + 1))
    assert all(before <= after for before, after in pairwise(curve))


def test_it_falls_where_a_better_network_leaves_others_below_the_reference():
    small, best = result("small", 0.5, 100), result("best", 0.9, 10**8)
    objectives = ("dice", "params")
    assert hypervolume([small, best], objectives) == hypervolume([best], objectives)
    assert hypervolume([best], objectives) < hypervolume([small], objectives)


def test_a_curve_that_is_known_has_no_missing_points():
    results = [result("a", 0.5, 100), result("b", 0.7, 1000)]
    known = dict(missing_points({}, results, ("dice", "params")))
    assert list(missing_points(known, results, ("dice", "params"))) == []
