"""How long trainings take, learned while a search runs."""

import pytest

from nas.study.training_pace import RECENT, TrainingPace, fit_line


def costs(megabytes):
    return {"params": 1e4, "macs": 1e8, "memory": megabytes * 1e6}


def test_it_learns_from_what_was_trained():
    pace = TrainingPace(epochs=9)
    assert pace.seconds(costs(50)) is None
    for megabytes in (10, 20, 40):
        seconds = 3 * (2 + 0.5 * megabytes)  # of the three epochs that were trained
        pace.observe(str(megabytes), costs(megabytes), 3, seconds)
    assert pace.seconds(costs(50)) == pytest.approx(9 * (2 + 0.5 * 50))
    assert pace.quickest == pytest.approx(9 * 7)
    assert pace.seconds({"params": 1e4, "macs": 1e8}) is None  # nobody counted its memory


def test_a_training_that_goes_on_is_one_observation():
    pace = TrainingPace(epochs=10)
    pace.observe("a", costs(10), 1, 5.0)
    pace.observe("a", costs(10), 2, 6.0)
    assert pace.seconds(costs(10)) == pytest.approx(30)


def test_what_does_not_fit_may_not_begin():
    pace = TrainingPace(epochs=10)
    pace.most = 100.0
    assert pace.fits(costs(10))  # nobody knows
    pace.observe("a", {"macs": 1e8}, 10, 90.0)
    assert pace.fits({"macs": 1e8})
    assert not pace.fits({"macs": 2e8})
    assert pace.fits({"macs": 2e8}, epochs=5) and not pace.fits({"macs": 1e8}, epochs=20)


def test_where_all_cost_the_same_others_take_longer_or_shorter_in_proportion():
    pace = TrainingPace(epochs=1)
    for name in "abcd":
        pace.observe(name, {"macs": 1e8}, 1, 10.0)
    assert pace.seconds({"macs": 5e7}) == pytest.approx(5)


def test_where_all_cost_the_same_the_error_allows_for_the_mean_being_fitted():
    line = fit_line([{"macs": 1e8}] * 3, [9.0, 10.0, 11.0])
    assert line.error == pytest.approx(0.1)


def test_the_first_tells_of_others_by_their_memory():
    pace = TrainingPace(epochs=1)
    pace.observe("small", costs(10), 1, 60.0)
    larger = {**costs(20), "macs": 15e8}
    assert pace.seconds(larger) == pytest.approx(120)


def test_only_recent_ones_count():
    pace = TrainingPace(epochs=1)
    pace.observe("old", costs(10), 1, 1.0)
    for number in range(RECENT):
        pace.observe(str(number), costs(10), 1, 7.0)
    assert pace.quickest == 7.0


def test_nothing_is_learned_from_nothing():
    pace = TrainingPace(epochs=1)
    pace.observe("a", {"params": 1.0}, 1, 7.0)
    pace.observe("b", costs(10), 0, 0.0)
    assert pace.seconds(costs(10)) is None
    assert pace.quickest == 0
