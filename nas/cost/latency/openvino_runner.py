"""A network made ready to run in OpenVINO, on a CPU."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.onnx_runner import write_precision
from nas.cost.latency.openvino_file import compile_file
from nas.cost.latency.runner import Runner
from nas.cost.latency.timing import wall_clock


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
        request = compile_file(path, config.precision, config.threads).create_infer_request()

    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(request.infer({0: x.numpy()}, share_inputs=True)[0])

    forward(x)
    return Runner(forward, device, torch.float32, wall_clock)
