"""Candidates that are trained a little, in processes of their own."""

import os
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from nas.analysis.plan.measure import Bench
from nas.analysis.plan.sample import Sample
from nas.analysis.preview.sentences import side_by_side_texts
from nas.analysis.preview.side_by_side import SideBySide, measure_side_by_side, mps_is_running
from nas.analysis.preview.time_candidates import (
    Timing,
    Workload,
    short_trainer,
    time_candidate,
    time_candidates,
)
from nas.config.resources import Resources
from search_spaces.hybrid import Hybrid
from search_spaces.space import Architecture, choice
from trainers.config import TrainConfig
from trainers.validation import score_cases


@dataclass(frozen=True, kw_only=True)
class Odd(Architecture):
    """A network that does not train."""

    space = "odd"
    fault: str = choice("raises", "dies", doc="how")

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        if self.fault == "dies":
            os._exit(1)
        raise RuntimeError("not enough memory: you tried to allocate")


SMALL = Hybrid(width=4, levels=3, convs=1, refine=0)


@pytest.fixture
def workload(phantom):
    """A small one."""
    cache, cases = phantom
    return Workload(cache, cases, TrainConfig(patch=(16, 16, 16)), seed=0, threads=1, gpu=False)


def test_windows_are_those_of_all_validation_cases(workload):
    assert workload.windows == 8 * len(workload.cases.validation)  # 24^3: two windows an axis


def test_a_candidate_is_timed_and_others_fail_by_themselves(workload):
    told = []
    odd = (Odd(fault="raises"), SMALL, Odd(fault="dies"))
    found = time_candidates(odd, workload, 2, 9, 60.0, lambda *count: told.append(count))
    timing = found.pop(1)
    assert isinstance(timing, Timing)
    assert 0 < timing.step < 30
    assert 0 < timing.window < 30
    assert found == {
        0: "out of memory: not enough memory: you tried to allocate",
        2: "its process died",
    }
    assert told[-1] == (3, 3, "candidates timed")


def test_what_is_timed_has_the_refinements_of_the_recipe(workload):
    recipe = workload.train.model_copy(update={"ema": 0.9, "deep_supervision": True})
    trainer = short_trainer(SMALL, replace(workload, train=recipe), torch.device("cpu"))
    assert trainer.deployed is not trainer.network
    assert len(trainer._terms) == 1 and trainer._terms[0].heads


def test_when_the_time_is_up_only_the_least_are_timed(workload):
    found = time_candidates([SMALL] * 3, workload, 1, 1, 0.0, lambda *count: None)
    assert list(found) == [0]


def test_a_plan_whose_limits_let_nothing_drawn_through_times_nothing(workload):
    sample = Sample(workload.cache, (24.0, 24.0, 24.0), 1.0)
    assert Bench(sample, Resources(), lambda *count: None).time([], workload.train) == []


def test_a_window_is_timed_on_corners_of_volumes(workload, monkeypatch):
    """Of two windows, along depth, whatever the size of the volume."""
    seen = []

    def note(network, images, *settings):
        seen.extend(image.shape for image in images)
        return score_cases(network, images, *settings)

    monkeypatch.setattr("nas.analysis.preview.time_candidates.score_cases", note)
    time_candidate(SMALL, workload, torch.device("cpu"))
    assert set(seen) == {(1, 24, 16, 16)}


# Trials side by side on one device


def test_processes_train_side_by_side_until_it_is_not_worth_it(workload):
    told = []
    found = measure_side_by_side(SMALL, workload, 2, lambda *count: told.append(count))
    assert list(found.rates) == [1, 2]
    assert all(rate > 0 for rate in found.rates.values())
    assert found.failure is None
    assert [done for done, *_ in told] == [1, 2]


@pytest.mark.parametrize(
    "fault, reason", [("raises", "out of memory: not enough"), ("dies", "its process died")]
)
def test_where_a_process_fails_the_reason_is_told(workload, fault, reason):
    found = measure_side_by_side(Odd(fault=fault), workload, 4, lambda *count: None)
    assert not found.rates
    assert found.best == 1
    assert reason in found.failure


def test_twice_as_many_trials_have_to_be_a_tenth_faster():
    assert SideBySide({1: 100.0}).gpus == 1
    assert SideBySide({1: 100.0, 2: 109.0}).gpus == 1
    assert SideBySide({1: 100.0, 2: 180.0, 4: 200.0, 8: 210.0}).gpus == 0.25


def test_the_preview_says_how_many_trials_a_gpu_should_have():
    assert list(side_by_side_texts(None)) == []
    found = SideBySide({1: 70.0, 2: 120.0, 4: 128.0}, "out of memory: of 8")
    text = " ".join(side_by_side_texts(found))
    assert "1: 70, 2: 120, 4: 128. Best is resources.gpus = 0.5" in text
    assert "out of memory: of 8" in text
    assert "Multi-Process Service is" in text


def test_the_service_that_lets_trials_compute_together_is_seen_by_its_pipe(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not mps_is_running()
    os.mkfifo(tmp_path / "control")
    assert mps_is_running()
