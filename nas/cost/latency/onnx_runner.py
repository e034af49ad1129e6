"""A network made ready to run in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.onnx_export import INPUT, OUTPUT, export_onnx, run_on_cpu
from nas.cost.latency.onnx_session import open_session
from nas.cost.latency.quantise import quantise
from nas.cost.latency.runner import DTYPES, Runner, example
from nas.cost.latency.timing import wall_clock

CALIBRATION = 4  # random patches


def onnx_runner(
    network: nn.Module, x: torch.Tensor, config: LatencyConfig, device: torch.device
) -> Runner:
    """Export, quantise where int8 is asked for, and open a session, through TensorRT where that is
    the backend. See `make_runner`."""
    gpu = (device.index or 0) if device.type == "cuda" else None
    dtype = DTYPES.get(config.precision, torch.float32)
    engine = config.precision if config.backend == "tensorrt" else ""
    with TemporaryDirectory(prefix="segnas-") as folder:
        path = Path(folder) / "network.onnx"
        write_precision(network, tuple(x.shape), config, path)
        session = open_session(path, config.threads, gpu, engine)
    forward = run_on_cpu(session) if gpu is None else _on_gpu(session, device, gpu, dtype)
    forward(x.to(device, dtype))
    return Runner(forward, device, dtype, wall_clock)


def write_precision(
    network: nn.Module, shape: tuple[int, ...], config: LatencyConfig, path: Path
) -> None:
    """Write the network for inputs of `shape` as an ONNX file of the precision that is asked for.

    Raises as `export_onnx` and `quantise`.
    """
    if config.precision != "int8":
        export_onnx(network.to(DTYPES[config.precision]), shape, path)
        return
    patches = (example(shape, seed).numpy() for seed in range(CALIBRATION))
    with TemporaryDirectory(prefix="segnas-") as folder:
        source = Path(folder) / "float32.onnx"
        export_onnx(network.to(torch.float32), shape, source)
        quantise(source, path, config.quantisation, patches)


def _on_gpu(session: Any, device: torch.device, gpu: int, dtype: torch.dtype) -> Any:
    """Input and output stay on the card. A run returns once the card is done."""
    kind = np.float16 if dtype == torch.float16 else np.float32
    shape = session.get_outputs()[0].shape

    def forward(x: torch.Tensor) -> torch.Tensor:
        x, logits = x.contiguous(), torch.empty(shape, dtype=dtype, device=device)
        torch.cuda.synchronize(device)
        binding = session.io_binding()
        binding.bind_input(INPUT, "cuda", gpu, kind, tuple(x.shape), x.data_ptr())
        binding.bind_output(OUTPUT, "cuda", gpu, kind, tuple(shape), logits.data_ptr())
        session.run_with_iobinding(binding)
        return logits

    return forward
