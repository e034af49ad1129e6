import numpy as np
import pytest

from trainers.bootstrap import Mean, mean_with_interval


def test_two_cases_by_hand():
    """Four equally likely draws: means 0, 1/2, 1/2, 1, so 95% of them reach from 0 to 1."""
    assert mean_with_interval(np.array([0.0, 1.0])) == Mean(0.5, 0.0, 1.0, 2)


def test_many_cases_agree_with_the_normal_interval():
    """By the central limit theorem: mean plus and minus 1.96 standard errors."""
    values = np.random.default_rng(3).normal(0.8, 0.1, 2000)
    found = mean_with_interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=half / 20)
    assert found.high == pytest.approx(values.mean() + half, abs=half / 20)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """With 40 cases each, between 90 and 98 of 100 intervals hold the true mean."""
    random = np.random.default_rng(5)
    found = [mean_with_interval(random.beta(8, 2, 40)) for _ in range(100)]
    assert 90 <= sum(mean.low <= 0.8 <= mean.high for mean in found) <= 98


def test_equal_cases_have_an_interval_of_no_width():
    assert mean_with_interval(np.array([0.5] * 4)) == Mean(0.5, 0.5, 0.5, 4)


def test_undefined_cases_do_not_count():
    nan = np.nan
    assert mean_with_interval(np.array([nan, nan])) == Mean(None, None, None, 0)
    assert mean_with_interval(np.array([nan, 0.5])) == Mean(0.5, None, None, 1)
    with_nan = mean_with_interval(np.array([0.1, nan, 0.9]))
    assert with_nan == mean_with_interval(np.array([0.1, 0.9]))


def test_the_same_cases_give_the_same_interval():
    values = np.random.default_rng(0).random(20)
    assert mean_with_interval(values) == mean_with_interval(values)
