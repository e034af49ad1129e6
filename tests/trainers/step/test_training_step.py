import pytest
import torch
from torch import nn

from trainers.config import DistillationConfig, TrainConfig
from trainers.distillation import Distillation
from trainers.step import CaptureMark, EagerStep, ScheduledOptimizer, training_step
from trainers.step.cuda_graphs import CudaGraphs
from trainers.step.training_step import reason_against_graphs

CPU = torch.device("cpu")


class ByData(nn.Identity):
    capturable = False


def step(one_pass=None):
    optimizer = ScheduledOptimizer(
        [nn.Parameter(torch.zeros(1))], TrainConfig(patch=(4, 4, 4)), CPU
    )
    return EagerStep(one_pass=one_pass or nn.Identity(), optimizer=optimizer, device=CPU)


@pytest.mark.parametrize(
    ("found", "workers", "reason"),
    [
        (step(), 1, None),
        (step(nn.BatchNorm3d(2)), 1, None),
        (step(), 2, "several workers"),
        (step(nn.Sequential(nn.ReLU(), ByData())), 1, "a ByData cannot be captured"),
        (step(nn.BatchNorm3d(2, momentum=None)), 1, "a BatchNorm3d without momentum"),
        (step(Distillation(ByData(), DistillationConfig(), None)), 1, "a Distillation cannot"),
    ],
)
def test_what_cannot_be_captured_is_told(found, workers, reason):
    told = reason_against_graphs(found, workers, CaptureMark(None))
    assert told is None if reason is None else told.startswith(reason)


def test_a_training_whose_capture_failed_before_is_not_captured_again(tmp_path):
    mark, told, eager = CaptureMark.beside(tmp_path / "a.pt"), [], step()
    mark.write("it broke")
    assert training_step(eager, 1, mark, told.append) is eager
    assert told == ["trained without CUDA graphs: it broke"]


def test_after_a_capture_that_cuda_refused_a_process_tries_none(monkeypatch):
    monkeypatch.setattr(CudaGraphs, "failed", True)
    reason = "a capture of this process failed before"
    assert reason_against_graphs(step(), 1, CaptureMark(None)) == reason
    with pytest.raises(RuntimeError, match=reason):
        CudaGraphs.__new__(CudaGraphs).capture(torch.zeros)


def test_a_mark_that_cannot_be_written_is_none(tmp_path):
    (tmp_path / "file").touch()
    mark = CaptureMark.beside(tmp_path / "file" / "a.pt")
    mark.write("it broke")
    assert mark.reason is None
    mark.clear()
