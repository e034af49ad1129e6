"""Candidates that are trained a little, in processes of their own."""

import os
from dataclasses import dataclass, replace

import pytest
from torch import nn

from nas.analysis.preview.timing import Series, time_candidates
from nas.analysis.preview.timing_bench import Bench
from search_spaces.hybrid import Hybrid
from search_spaces.space import Architecture, choice
from trainers.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Odd(Architecture):
    """A network that does not train."""

    space = "odd"
    fault: str = choice("raises", "dies", doc="how")

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        if self.fault == "dies":
            os._exit(1)
        raise RuntimeError("not enough memory: you tried to allocate")


@pytest.fixture
def series(phantom, tmp_path):
    """One small network, to be timed alone."""
    cache, cases = phantom
    bench = Bench(cache, cases, TrainConfig(patch=(16, 16, 16)), 0, tmp_path)
    small = Hybrid(width=4, levels=3, convs=1, refine=0)
    return Series(bench, (small,), least=9, seconds=60.0, threads=1, gpu=False)


def test_a_candidate_is_timed_and_others_fail_by_themselves(series, tmp_path):
    told = []
    odd = (Odd(fault="raises"), series.candidates[0], Odd(fault="dies"))
    timings, failures = time_candidates(
        replace(series, candidates=odd), 2, lambda *count: told.append(count)
    )
    assert list(timings) == [1]
    timing = timings[1]
    assert all(0 < getattr(timing, name) < 30 for name in ("setup", "step", "window"))
    assert timing.checkpoint >= 0
    assert failures == {
        0: "out of memory: not enough memory: you tried to allocate",
        2: "its process died",
    }
    assert told[-1] == (3, 3, "candidates timed")


def test_when_the_time_is_up_only_the_least_are_timed(series):
    three = replace(series, candidates=series.candidates * 3, least=1, seconds=0.0)
    timings, failures = time_candidates(three, 1, lambda *count: None)
    assert list(timings) == [0]
    assert failures == {}
