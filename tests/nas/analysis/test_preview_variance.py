"""Shares of variance on functions whose shares are known."""

from itertools import product

import numpy as np
import pytest

from nas.analysis.preview.variance import Driver, drivers, explained_squares


def by_knob(answers, cost):
    return {driver.knob: driver for driver in drivers(answers, cost)}


def test_an_additive_function_gives_every_knob_its_share_of_the_variance():
    # y = x + 2 z on {-1, 1}^2: variances 1 and 4 of 5.
    points = [{"x": x, "z": z} for x, z in product((-1, 1), repeat=2)] * 500
    found = by_knob(points, [p["x"] + 2 * p["z"] for p in points])
    assert found["x"].values == pytest.approx(1 / 5, abs=0.002)
    assert found["z"].values == pytest.approx(4 / 5, abs=0.002)
    assert list(found) == ["z", "x"]
    assert found["z"].presence == 0


def test_small_groups_are_corrected_as_worked_by_hand():
    # The same on 8 points. Of x: between 8, within 32, so 8 - 32 / 6 of the total 40; of z: between
    # 32, within 8, so 32 - 8 / 6.
    points = [{"x": x, "z": z} for x, z in product((-1, 1), repeat=2)] * 2
    found = by_knob(points, [p["x"] + 2 * p["z"] for p in points])
    assert found["x"].values == pytest.approx((8 - 32 / 6) / 40)
    assert found["z"].values == pytest.approx((32 - 8 / 6) / 40)


def test_a_knob_of_many_options_that_does_nothing_explains_nothing_in_the_mean():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        y = rng.normal(size=150)
        levels = rng.integers(40, size=150).tolist()
        shares.append(explained_squares(y, levels) / ((y - y.mean()) ** 2).sum())
    assert abs(np.mean(shares)) < 0.015  # 39 / 149 = 0.26 uncorrected


def test_pure_interaction_is_no_knobs_own():
    points = [{"x": x, "z": z} for x, z in product((-1, 1), repeat=2)] * 500
    found = drivers(points, [p["x"] * p["z"] for p in points])
    assert sum(driver.values for driver in found) == pytest.approx(0, abs=0.002)


def test_a_knob_that_another_one_silences_is_not_credited_with_that():
    # off: 0 four times; on: 10 with `on.a` = 0, 12 with `on.a` = 1, each twice. The total is 246.
    # `on`: between 242, within 4, so 242 - 4 / 6. `on.a` where asked: between 4, within 0.
    off, low, high = {"on": False}, {"on": True, "on.a": 0}, {"on": True, "on.a": 1}
    found = by_knob([off] * 4 + [low] * 2 + [high] * 2, [0] * 4 + [10] * 2 + [12] * 2)
    assert found["on"] == Driver("on", pytest.approx((242 - 4 / 6) / 246), 0)
    assert found["on.a"].values == pytest.approx(4 / 246)
    assert found["on.a"].presence == found["on"].values
    assert found["on.a"].share == pytest.approx((246 - 4 / 6) / 246)


def test_a_knob_at_several_places_has_the_sum_over_them():
    points = [{"part.0.a": a, "part.1.a": b, "c": c} for a, b, c in product((-1, 1), repeat=3)]
    found = by_knob(points * 300, [p["part.0.a"] + p["part.1.a"] + p["c"] for p in points * 300])
    assert found["part.a"].values == pytest.approx(2 / 3, abs=0.002)
    assert found["c"].values == pytest.approx(1 / 3, abs=0.002)


def test_what_never_changes_drives_nothing():
    points = [{"x": x, "fixed": 3} for x in (0, 1)] * 4
    assert [driver.knob for driver in drivers(points, [1.0, 2.0] * 4)] == ["x"]
    assert drivers(points, [5.0] * 8) == [Driver("x", 0, 0)]
    assert drivers([], []) == []
