"""What this machine must have for a measurement, whatever the network."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.device_config import IN_ONNX_RUNTIME, ON_A_GPU
from trainers.cores import usable_cores
from trainers.errors import UserError


def latency_device(config: LatencyConfig, training: torch.device) -> torch.device:
    """The device that is measured where trials train on `training`.

    Raises UserError where this machine does not have it.
    """
    device = torch.device(config.device_beside(str(training)))
    _check_device(device)
    return device


def check_machine(config: LatencyConfig, device: torch.device) -> None:
    """Raise UserError for what `config` asks for and this machine does not have."""
    _check_device(device)
    if config.threads > (cpus := usable_cores()):
        raise UserError(f"latency.threads = {config.threads}; expected {cpus} at most, one a CPU")
    if config.backend == "compile":
        _check_compiler(device)
    if config.backend in ON_A_GPU and device.type != "cuda":
        raise UserError(
            f"latency.backend = {config.backend} needs a GPU, and latency.device is {device}; set "
            "it to cuda, or use backend eager"
        )
    if config.backend in IN_ONNX_RUNTIME:
        check_onnx()
        _check_provider(config, device)
    if config.backend == "openvino":
        _check_openvino(config, device)  # what it wants installed brings ONNX, too
        check_onnx()


def check_onnx() -> None:
    """Raise UserError with what to install where an optional package is missing."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise UserError(f"{package} is not installed; pip install 'segnas[onnx]'")


def _check_device(device: torch.device) -> None:
    found = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= found:
        raise UserError(
            f"latency.device = {device}: PyTorch sees {found} CUDA devices here; use "
            f"{'one of them, or ' if found else ''}cpu"
        )


def _check_compiler(device: torch.device) -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler
    from torch.utils._triton import has_triton

    if device.type == "cuda":
        if not has_triton():
            raise UserError(
                "latency.backend = compile needs Triton on a GPU, and it is missing or does not "
                "know this one; pip install triton, or use backend eager"
            )
        return
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise UserError(
            "latency.backend = compile needs a C++ compiler, and there is none; install g++, or "
            "name another one in the environment variable CXX"
        ) from error


def _check_openvino(config: LatencyConfig, device: torch.device) -> None:
    from nas.cost.latency.openvino_file import cpu_lacks

    if find_spec("openvino") is None:
        raise UserError("openvino is not installed; pip install 'segnas[openvino]'")
    if device.type != "cpu":
        raise UserError("latency.backend = openvino is for the CPU here; set latency.device to cpu")
    if cpu_lacks(config.precision):
        raise UserError(
            f"latency.precision = {config.precision}: OpenVINO does not compute in it on this CPU; "
            "use fp32 or int8"
        )


def _check_provider(config: LatencyConfig, device: torch.device) -> None:
    import onnxruntime

    if device.type != "cuda":
        return
    if config.precision == "int8":
        raise UserError(
            "latency.precision = int8 is for the CPU; use latency.device: cpu, or precision fp16"
        )
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise UserError(
            f"latency.backend = {config.backend}: this onnxruntime is for the CPU; install "
            "onnxruntime-gpu in its place, or set latency.device to cpu"
        )
