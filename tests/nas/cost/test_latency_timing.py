"""Turns, runs, warm-up and noise, from times that are known."""

import gc
from itertools import count

import pytest
import torch

from nas.cost.latency import conditions_of
from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.result import summary
from nas.cost.latency.timing import (
    Sample,
    interleave,
    memory_settled,
    quietest,
    take_samples,
    threads_set,
    wall_clock,
)

CPU = torch.device("cpu")


def passes(log, *times):
    """One pass a network, each as long as `times` says, that writes down whose turn it was."""

    def take(index):
        log.append(index)
        return times[index]

    return [lambda index=index: take(index) for index in range(len(times))]


def noisy(value):
    """A single network whose second run is slower by the noise `value`: (b - a) / mean."""
    return [Sample((1.0,), ((2 + value) / (2 - value),))]


def test_networks_take_turns_that_begin_with_an_uncounted_pass():
    log = []
    times = interleave(passes(log, 1.0, 2.0), repeats=4, seconds=9, turn=2)
    assert log == [0, 0, 0, 1, 1, 1] * 2
    assert times == [[1.0] * 4, [2.0] * 4]


def test_a_network_alone_has_all_its_passes_counted():
    log = []
    assert interleave(passes(log, 1.0), repeats=7, seconds=9) == [[1.0] * 7]
    assert len(log) == 7


def test_a_run_ends_with_its_seconds_and_the_others_go_on():
    fast, slow = interleave(passes([], 10.0, 1000.0), repeats=50, seconds=4)
    assert (len(fast), len(slow)) == (50, 4)


def test_three_passes_are_taken_however_long_they_last():
    assert interleave(passes([], 1e6), repeats=50, seconds=0.1) == [[1e6] * 3]


def test_warm_up_passes_come_before_and_are_not_counted():
    ticks = count()
    (sample,) = take_samples(
        [lambda: 999.0 if next(ticks) < 4 else 5.0], warmup=4, repeats=3, seconds=9
    )
    assert sample == Sample((5.0,) * 3, (5.0,) * 3)
    assert next(ticks) == 10


def test_noise_is_the_difference_of_the_medians_relative_to_their_mean():
    sample = Sample((9.0, 8.0, 99.0), (10.0, 12.0, 11.0))  # medians 9 and 11
    assert sample.noise == pytest.approx(0.2)
    assert Sample((3.0, 1.0, 2.0), (2.0, 2.0, 2.0)).noise == 0


def test_a_quiet_measurement_is_taken_once():
    attempts = iter([noisy(0.04), noisy(0.0)])
    assert quietest(lambda: next(attempts)) == noisy(0.04)


def test_a_noisy_one_is_taken_again_until_it_is_quiet():
    attempts = iter([noisy(0.3), noisy(0.01), noisy(0.0)])
    assert quietest(lambda: next(attempts)) == noisy(0.01)


def test_the_attempt_whose_worst_network_is_quietest_is_kept_as_a_whole():
    tries = [noisy(0.3) + noisy(0.1), noisy(0.2) + noisy(0.2), noisy(0.0) + noisy(0.4)]
    left = iter([*tries, noisy(0)])
    assert quietest(lambda: next(left)) == tries[1]
    assert next(left) == noisy(0)  # three attempts at most


def test_percentiles_and_mean_are_those_of_both_runs():
    config = LatencyConfig(patch=(8, 8, 8))
    first, second = tuple(map(float, range(0, 101, 2))), tuple(map(float, range(1, 101, 2)))
    sample = Sample(first, second)  # 0, 1, ... 100
    latency = summary(sample.times, sample.noise, 3, conditions_of(1, config, CPU))
    assert (latency.p50_ms, latency.p90_ms, latency.p99_ms) == (50, 90, 99)
    assert latency.mean_ms == 50
    assert (latency.repeats, latency.warmup) == (101, 3)
    assert latency.patches_per_s == 20


def test_the_clock_counts_the_work_and_nothing_else(monkeypatch):
    now = 5_000_000

    def work():
        nonlocal now
        now += 2_500_000

    monkeypatch.setattr("nas.cost.latency.timing.perf_counter_ns", lambda: now)
    assert wall_clock(work) == 2.5


@pytest.mark.parametrize("fails", [False, True])
def test_threads_are_restored(fails):
    before = torch.get_num_threads()
    try:
        with threads_set(before + 1):
            assert torch.get_num_threads() == before + 1
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("collecting", [False, True])
def test_garbage_is_collected_before_and_not_meanwhile(collecting):
    was = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        with memory_settled():
            assert not gc.isenabled()
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if was else gc.disable)()
