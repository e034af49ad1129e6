"""The hours of a search from seconds that were measured: formulas worked by hand."""

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from nas.analysis.preview.forecast import forecast
from nas.analysis.preview.regression import best_fit, fit
from nas.analysis.preview.schedule import (
    REPORT_SECONDS,
    START_SECONDS,
    Schedule,
    count_validations,
    ends,
    play,
)
from nas.analysis.preview.timing import Timing
from nas.analysis.preview.timing_bench import Bench, count_windows
from nas.config.early_stopping import EarlyStopping
from trainers.config import TrainConfig

PATCH = {"patch": [16, 16, 16]}


def schedule(**changes):
    like = {"trials": 4, "slots": 2, "epochs": 3, "steps": 100, "validations": 2, "windows": 50}
    return Schedule(**{**like, **changes})


def test_a_trial_is_its_steps_its_validations_and_what_lies_between():
    timing = Timing(setup=1.0, step=0.2, checkpoint=0.5, window=0.03)
    # 1 + 3 x (100 x 0.2 + 0.5 + report) + 2 x 50 x 0.03
    assert schedule().trial_seconds(timing) == pytest.approx(65.5 + 3 * REPORT_SECONDS)


@pytest.mark.parametrize(("epochs", "every", "count"), [(6, 2, 3), (5, 2, 3), (5, 1, 5), (3, 9, 1)])
def test_the_last_epoch_always_validates(epochs, every, count):
    config = TrainConfig(**PATCH, epochs=epochs, validate_every=every)
    assert count_validations(config) == count


def test_at_every_rung_one_in_so_many_goes_on():
    train = TrainConfig(**PATCH, epochs=9)
    assert ends(None, train) == ((1.0, 1.0),)
    found = ends(EarlyStopping(grace=1, reduction=3), train)
    assert [share for share, _ in found] == pytest.approx([1 / 9, 3 / 9, 1])
    assert [probability for _, probability in found] == pytest.approx([2 / 3, 2 / 9, 1 / 9])
    assert schedule(ends=found).mean_end == pytest.approx(2 / 27 + 2 / 27 + 1 / 9)


def test_trials_go_to_the_slot_that_is_free_first():
    # One slot: 100, and 20 from then on. The other: 60, 30 from 60 on, 50 from 90 on.
    seconds, started = play([100, 60, 30, 50, 20], schedule())
    assert seconds == pytest.approx(START_SECONDS + 140)
    assert started == 5


def test_no_trial_starts_after_the_hours_and_those_running_end():
    limit = (START_SECONDS + 150) / 3600
    seconds, started = play([100] * 10, schedule(hours=limit))
    assert seconds == pytest.approx(START_SECONDS + 200)
    assert started == 4
    assert play([], schedule()) == (0, 0)


def test_while_a_latency_is_measured_no_slot_trains():
    # Four trials of 100 s on two slots, and four pauses of 3 s.
    assert play([100] * 4, schedule(pause=3.0))[0] == pytest.approx(START_SECONDS + 200 + 12)


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


def test_the_regression_recovers_the_coefficients():
    costs = costs_of(8)
    seconds = [0.02 + 3e-10 * c["macs"] + 1e-9 * c["memory"] for c in costs]
    model = fit(costs, seconds, ("memory", "macs"))
    assert model.constant == pytest.approx(0.02)
    assert model.rates == pytest.approx({"macs": 3e-10, "memory": 1e-9})
    assert model.seconds({"macs": 1e9, "memory": 1e8, "params": 0}) == pytest.approx(0.42)


def test_no_rate_is_negative():
    costs = costs_of(8)
    model = fit(costs, [1.0 - 5e-10 * c["macs"] for c in costs], ("macs",))
    assert model.rates == {"macs": 0}
    assert model.constant > 0


def test_what_predicts_held_out_candidates_is_chosen():
    costs = costs_of(10)
    noise = np.random.default_rng(1).normal(1, 0.02, 10)
    seconds = [(0.01 + 2e-9 * c["memory"]) * n for c, n in zip(costs, noise, strict=True)]
    model = best_fit(costs, seconds)
    assert "memory" in model.rates
    assert 0 < model.error < 0.1


def test_a_few_candidates_are_taken_as_proportional_to_their_work():
    model = best_fit([{"macs": 1.0}, {"macs": 3.0}], [2.0, 6.0])
    assert model.seconds({"macs": 10.0}) == pytest.approx(20)
    assert model.error is None


def test_equal_candidates_give_hours_without_doubt():
    one = {"macs": 1e8, "params": 1e4, "memory": 1e7}
    timing = Timing(setup=1.0, step=0.2, checkpoint=0.5, window=0.03)
    plan = schedule(trials=6)
    found = forecast([(one, timing)] * 6, [], [one] * 9, plan, seed=0)
    wall = START_SECONDS + 3 * plan.trial_seconds(timing)
    assert (found.low, found.hours, found.high) == pytest.approx((wall / 3600,) * 3)
    assert found.trials == 6
    assert not found.cut_short


def test_unequal_candidates_give_an_interval_around_the_truth():
    costs = costs_of(12)
    timings = [Timing(0.0, 1e-9 * c["macs"], 0.0, 1e-3) for c in costs]
    others = costs_of(300, seed=2)
    plan = schedule(trials=40, windows=0)
    found = forecast(list(zip(costs, timings, strict=True)), [], others, plan, seed=0)
    truth = np.mean([300 * 1e-9 * c["macs"] for c in others]) * 40 / 2 / 3600
    assert found.low < truth < found.high
    assert found.hours == pytest.approx(truth, rel=0.1)
    assert found.trial_seconds == pytest.approx(truth * 3600 * 2 / 40, rel=0.05)


def test_the_warm_start_is_counted_as_it_is():
    small, large = ({"macs": m, "params": 1.0, "memory": m} for m in (1e8, 1e9))
    measured = [(c, Timing(0.0, c["macs"] * 1e-9, 0.0, 1e-3)) for c in [small, large] * 3]
    plan = schedule(trials=2, slots=1, windows=0)
    cold = forecast(measured, [], [small], plan, seed=0)
    warm = forecast(measured, [large], [small], plan, seed=0)
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


def test_the_bench_is_short_and_keeps_the_training_cases(phantom, tmp_path):
    cache, cases = phantom
    bench = Bench(cache, cases, TrainConfig(**PATCH), 0, tmp_path)
    assert bench.windows() == 8 * len(cases.validation)  # 24^3 voxels: two windows an axis
    short = bench.shortened()
    assert short.windows() == 2 * len(short.cases.validation)
    assert short.cases.train == cases.train
    name = short.cases.validation[0]
    assert short.cache.image(name).shape == (1, 24, 16, 16)
    assert short.cache.label(name).shape == (24, 16, 16)
    np.testing.assert_array_equal(short.cache.image(name), cache.image(name)[:, :24, :16, :16])
