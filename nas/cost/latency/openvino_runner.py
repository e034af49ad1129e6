"""A network made ready to run in OpenVINO, on a CPU."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.errors import LatencyError
from nas.cost.latency.onnx_runner import write_precision
from nas.cost.latency.runner import Runner
from nas.cost.latency.timing import wall_clock

# In what it computes. Left to itself it takes bfloat16 where the CPU has it; beside int8, float32.
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
CAPABILITIES = {"bf16": "BF16", "fp16": "FP16"}


def openvino_runner(
    network: nn.Module, x: torch.Tensor, config: LatencyConfig, device: torch.device
) -> Runner:
    """Export, quantise where int8 is asked for, and compile. See `make_runner`.

    Weights and input are float32; OpenVINO turns them into the precision itself.
    """
    narrowed = config.precision == "int8"
    written = config if narrowed else config.model_copy(update={"precision": "fp32"})
    with TemporaryDirectory(prefix="segnas-") as folder:
        path = Path(folder) / "network.onnx"
        write_precision(network, tuple(x.shape), written, path)
        request = _compiled(path, config).create_infer_request()

    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(request.infer({0: x.numpy()}, share_inputs=True)[0])

    forward(x)
    return Runner(forward, device, torch.float32, wall_clock)


def _compiled(path: Path, config: LatencyConfig) -> Any:
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": config.threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": HINTS[config.precision],
        "ENABLE_CPU_PINNING": False,
    }
    try:
        return openvino.Core().compile_model(path, "CPU", settings)
    except RuntimeError as error:  # after some lines that name its own source files
        told = str(error).strip().splitlines()[-1]
        raise LatencyError(f"{config.precision} with openvino: {told}") from error


def cpu_lacks(precision: str) -> bool:
    """Whether OpenVINO would compute in another precision on this CPU, without a word."""
    import openvino

    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return CAPABILITIES.get(precision, "FP32") not in able
