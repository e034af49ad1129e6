"""The hours of a search from seconds that were measured: formulas worked by hand."""

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from nas.analysis.preview.forecast_hours import (
    EPOCH_SECONDS,
    START_SECONDS,
    TRIAL_SECONDS,
    Schedule,
    count_validations,
    early_ends,
    fit_line,
    forecast_hours,
    simulate_schedule,
)
from nas.analysis.preview.sentences import trials_text
from nas.analysis.preview.time_candidates import Timing, count_windows
from nas.config.early_stopping import EarlyStopping
from trainers.config import TrainConfig

PATCH = {"patch": [16, 16, 16]}


def schedule(**changes):
    like = {"trials": 4, "slots": 2, "epochs": 3, "steps": 100, "validations": 2, "windows": 50}
    return Schedule(**{**like, **changes})


def test_a_trial_is_its_steps_its_validations_and_what_lies_between():
    timing = Timing(step=0.2, window=0.03)
    # 3 x 100 x 0.2 + 2 x 50 x 0.03, and what is fixed
    fixed = TRIAL_SECONDS + 3 * EPOCH_SECONDS
    assert schedule().trial_seconds(timing) == pytest.approx(63 + fixed)


@pytest.mark.parametrize(("epochs", "every", "count"), [(6, 2, 3), (5, 2, 3), (5, 1, 5), (3, 9, 1)])
def test_the_last_epoch_always_validates(epochs, every, count):
    config = TrainConfig(**PATCH, epochs=epochs, validate_every=every)
    assert count_validations(config) == count


def test_at_every_rung_one_in_so_many_goes_on():
    train = TrainConfig(**PATCH, epochs=9)
    assert early_ends(None, train) == ((1.0, 1.0),)
    found = early_ends(EarlyStopping(grace=1, reduction=3), train)
    assert [share for share, _ in found] == pytest.approx([1 / 9, 3 / 9, 1])
    assert [probability for _, probability in found] == pytest.approx([2 / 3, 2 / 9, 1 / 9])
    assert schedule(ends=found).mean_end == pytest.approx(2 / 27 + 2 / 27 + 1 / 9)


def test_trials_go_to_the_slot_that_is_free_first():
    # One slot: 100, and 20 from then on. The other: 60, 30 from 60 on, 50 from 90 on.
    seconds, started = simulate_schedule([100, 60, 30, 50, 20], schedule())
    assert seconds == pytest.approx(START_SECONDS + 140)
    assert started == 5


def test_no_trial_starts_after_the_hours_and_those_running_end():
    limit = (START_SECONDS + 150) / 3600
    seconds, started = simulate_schedule([100] * 10, schedule(hours=limit))
    assert seconds == pytest.approx(START_SECONDS + 200)
    assert started == 4
    assert simulate_schedule([], schedule()) == (0, 0)


def test_hours_that_are_the_budget_leave_no_trial_out():
    costs = [{"macs": 1e6 * n, "memory": 1e6} for n in (1, 2, 3)]
    timed = [(one, Timing(step=one["macs"] / 1e6, window=0.0)) for one in costs]
    limited = forecast_hours(timed, [], costs, schedule(trials=1000, hours=1.0), 0)
    assert limited.cut_short
    assert trials_text(limited) == f"{limited.trials} of 1000 trials"
    spent = limited.spending_hours()
    assert (spent.cut_short, spent.hours) == (False, limited.hours)
    assert trials_text(spent) == f"{limited.trials} trials"


def test_while_a_latency_is_measured_no_slot_trains():
    # Four trials of 100 s on two slots, and four pauses of 3 s.
    assert simulate_schedule([100] * 4, schedule(pause=3.0))[0] == pytest.approx(
        START_SECONDS + 200 + 12
    )


def costs_of(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {"macs": m, "params": p, "memory": b}
        for m, p, b in zip(
            rng.uniform(1e7, 1e9, count),
            rng.uniform(1e4, 1e6, count),
            rng.uniform(1e7, 1e8, count),
            strict=True,
        )
    ]


def test_the_line_recovers_the_coefficients_and_the_cost_that_predicts():
    costs = costs_of(8)
    line = fit_line(costs, [20 + 3e-7 * c["memory"] for c in costs])
    assert line.cost == "memory"
    assert line.constant == pytest.approx(20)
    assert line.rate == pytest.approx(3e-7)
    assert line.error == pytest.approx(0, abs=1e-9)
    assert line.seconds({"macs": 1e9, "memory": 1e8, "params": 0}) == pytest.approx(50)


def test_the_error_is_the_deviation_from_the_line_by_hand():
    # Residuals of the line y = 0.8 + 2 x at x = 1, 2, 3, 4 are -0.3, 0.4, 0.1, -0.2: their sum is
    # 0 and so is that of x times them. Squares 0.3 over 4 - 2; the mean of y is 5.8.
    costs = [{"macs": x, "memory": 1.0} for x in (1.0, 2.0, 3.0, 4.0)]
    line = fit_line(costs, [2.5, 5.2, 6.9, 8.6])
    assert (line.cost, line.constant, line.rate) == (
        "macs", pytest.approx(0.8), pytest.approx(2.0)
    )  # fmt: skip
    assert line.error == pytest.approx((0.3 / 2) ** 0.5 / 5.8)


def test_no_rate_is_negative():
    costs = costs_of(8)
    line = fit_line(costs, [1.0 - 5e-10 * c["macs"] for c in costs])
    assert line.rate >= 0
    assert line.constant > 0


def test_two_candidates_are_taken_as_proportional_to_their_work():
    line = fit_line([{"macs": 1e8}, {"macs": 3e8}], [1.0, 2.0])
    assert (line.constant, line.rate) == (0, pytest.approx(3 / 4e8))
    assert line.error == 1


def test_equal_candidates_give_hours_without_doubt():
    one = {"macs": 1e8, "params": 1e4, "memory": 1e7}
    timing = Timing(step=0.2, window=0.03)
    plan = schedule(trials=6)
    found = forecast_hours([(one, timing)] * 6, [], [one] * 9, plan, seed=0)
    wall = START_SECONDS + 3 * plan.trial_seconds(timing)
    assert (found.low, found.hours, found.high) == pytest.approx((wall / 3600,) * 3)
    assert found.trials == 6
    assert not found.cut_short


def test_the_interval_holds_the_truth_and_widens_with_the_error():
    costs, others = costs_of(12), costs_of(300, seed=2)
    plan = schedule(trials=40, windows=0)
    fixed = plan.trial_seconds(Timing(0.0, 0.0))
    found = []
    for noise in (0.0, 0.3):
        misses = np.random.default_rng(1).normal(1, noise, 12)
        timings = [Timing(1e-9 * c["macs"] * m, 0.0) for c, m in zip(costs, misses, strict=True)]
        timed = list(zip(costs, timings, strict=True))
        found.append(forecast_hours(timed, [], others, plan, seed=0))
    mean = np.mean([300 * 1e-9 * c["macs"] for c in others]) + fixed
    truth = (mean * 40 / 2 + START_SECONDS) / 3600
    exact, noisy = found
    assert exact.low < truth < exact.high
    assert exact.hours == pytest.approx(truth, rel=0.1)
    assert exact.trial_seconds == pytest.approx(mean, rel=0.01)
    assert noisy.low < truth < noisy.high
    assert noisy.high - noisy.low > exact.high - exact.low


def test_the_warm_start_is_counted_as_it_is():
    small, large = ({"macs": m, "params": 1.0, "memory": m} for m in (1e8, 1e9))
    timed = [(c, Timing(c["macs"] * 1e-9, 1e-3)) for c in [small, large] * 3]
    plan = schedule(trials=2, slots=1, windows=0)
    cold = forecast_hours(timed, [], [small], plan, seed=0)
    warm = forecast_hours(timed, [large], [small], plan, seed=0)
    assert warm.hours - cold.hours == pytest.approx(300 * (1.0 - 0.1) / 3600, rel=0.01)


@pytest.mark.parametrize("shape", [(16, 16, 16), (9, 16, 17), (40, 33, 20), (64, 64, 64)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_windows_are_as_many_as_monai_takes(shape, overlap):
    passes = []

    def count(windows):
        passes.append(len(windows))
        return windows

    sliding_window_inference(torch.zeros(1, 1, *shape), (16,) * 3, 1, count, overlap)
    assert count_windows(shape, TrainConfig(**PATCH, overlap=overlap)) == sum(passes)


def test_baselines_are_trained_between_the_trials_and_count_as_none():
    one, twice = ({"macs": m, "params": 1.0, "memory": m} for m in (1e8, 2e8))
    timed = [(c, Timing(c["macs"] * 1e-9, 0.0)) for c in [one, twice] * 3]
    plan = schedule(trials=7, slots=1, windows=0)
    without = forecast_hours(timed, [], [one], plan, seed=0)
    beside = forecast_hours(timed, [], [one], plan, seed=0, baselines=[twice] * 3)
    # After the third and the sixth trial; after the ninth there would be another.
    each = 300 * 0.2 + TRIAL_SECONDS + 3 * EPOCH_SECONDS
    assert beside.hours - without.hours == pytest.approx(2 * each / 3600, rel=0.01)
    assert beside.trials == without.trials == 7
    late = schedule(trials=7, slots=1, windows=0, hours=(START_SECONDS + 100) / 3600)
    # 30.95 s each: trials begin at 15, 46 and 77 s; what begins at 108 s is the baseline.
    assert forecast_hours(timed, [], [one], late, seed=0, baselines=[twice]).trials == 3
    assert forecast_hours(timed, [], [one], late, seed=0).trials == 4
