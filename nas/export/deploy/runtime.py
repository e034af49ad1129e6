"""A deployed file as a module that predicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from nas.cost.latency.machine import check_onnx
from nas.export.deploy.errors import DeployError, reason
from nas.export.deploy.look_through import check_exported, check_scripted
from nas.export.deploy.record import Deployment, Format
from trainers.errors import UserError
from trainers.segmenter import best_device

Forward = Callable[[torch.Tensor], torch.Tensor]


class Deployed(nn.Module):
    """`forward` of a deployed file, for any number of windows.

    x: (B, C, D, H, W) float32 on the device -> (B, C_cls, D, H, W) float32. A file for one window
    alone gets them one by one.
    """

    def __init__(self, forward: Forward, device: torch.device, any_batch: bool) -> None:
        super().__init__()
        self._forward, self._any_batch = forward, any_batch
        here = torch.empty(0, device=device)  # tells `predict_logits` where to work
        self.here = nn.Parameter(here, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self._any_batch:
            return self._forward(x)
        return torch.cat([self._forward(window) for window in x.split(1)])


def open_network(folder: Path, record: Deployment) -> Deployed:
    """The network of a deployed folder, which `record` describes.

    Raises UserError where the file is missing or damaged, or this machine lacks what it needs.
    """
    try:
        forward, device = open_file(folder / record.network, record.format, record.device)
    except DeployError as error:
        raise UserError(f"{folder / record.network} {error}; deploy the network again") from error
    return Deployed(forward, device, record.dynamic.batch).eval()


def open_file(path: Path, kind: Format, made_on: str) -> tuple[Forward, torch.device]:
    """The forward pass of the file `path`, and the device it takes its input on.

    `made_on`: the device type the file was written on. TorchScript has to run on it, since a trace
    keeps the device of the tensors it makes. Raises DeployError where the runtime refuses the file,
    UserError where it is missing or this machine lacks what it needs.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; deploy the network again")
    try:
        if kind == "onnx":
            return _onnx(path)
        if kind == "torch-export":
            return _exported(path)
        return _scripted(path, made_on)
    except UserError:
        raise
    except Exception as error:  # each runtime has errors of its own for a damaged file
        raise DeployError(f"cannot be opened: {reason(error)}") from error


def _onnx(path: Path) -> tuple[Forward, torch.device]:
    check_onnx()

    from nas.cost.latency.onnx_export import run_on_cpu
    from nas.cost.latency.onnx_session import open_session

    session = open_session(path, torch.get_num_threads(), onnx_device().index)
    return run_on_cpu(session), torch.device("cpu")


def onnx_device() -> torch.device:
    """Where ONNX Runtime computes, which takes its input on the CPU all the same."""
    import onnxruntime

    if torch.cuda.is_available() and (
        "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    ):
        return torch.device("cuda", 0)
    return torch.device("cpu")


def _exported(path: Path) -> tuple[Forward, torch.device]:
    from torch.export.passes import move_to_device_pass

    check_exported(path)
    device = best_device()
    module = move_to_device_pass(torch.export.load(path), device).module()
    return module.__call__, device  # not the module itself, which knows no eval()


def _scripted(path: Path, made_on: str) -> tuple[Forward, torch.device]:
    if made_on == "cuda" and not torch.cuda.is_available():
        raise UserError(f"{path} was traced on a GPU, and there is none here; deploy it again here")
    check_scripted(path)
    device = torch.device(made_on)
    return torch.jit.load(path, map_location=device).eval(), device
