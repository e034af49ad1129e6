"""Networks made ready to run, by backend and precision."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.cuda_graph import captured
from nas.cost.latency.device_config import IN_ONNX_RUNTIME
from nas.cost.latency.errors import LatencyError
from nas.cost.latency.evaluated import evaluated
from nas.cost.latency.onnx_runner import onnx_runner
from nas.cost.latency.openvino_runner import openvino_runner
from nas.cost.latency.runner import DTYPES, Runner, example
from nas.cost.latency.timing import stopwatch
from trainers.errors import UserError, first_line
from trainers.freed_memory import keep_freed_memory
from trainers.single_image import use_onednn


def make_runner(
    network: nn.Module, shape: tuple[int, ...], config: LatencyConfig, device: torch.device
) -> Runner:
    """A copy of `network` in eval mode, built, compiled, and run once on an input of `shape`.

    Weights and input have the precision's type. Raises LatencyError with the reason where this
    network does not run with this backend and precision, UserError where no network could. OSError
    and out-of-memory errors are passed on unchanged.
    """
    try:
        with torch.inference_mode():
            return _make(evaluated(network), example(shape), config, device)
    except (UserError, LatencyError, OSError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        how = f"{config.precision} with {config.backend} on {device.type}"
        raise LatencyError(f"{how}: {first_line(error)}") from error


def _make(
    network: nn.Module, x: torch.Tensor, config: LatencyConfig, device: torch.device
) -> Runner:
    if config.backend in IN_ONNX_RUNTIME:
        return onnx_runner(network, x, config, device)
    if config.backend == "openvino":
        return openvino_runner(network, x, config, device)
    keep_freed_memory()
    dtype = DTYPES[config.precision]
    x, ready = x.to(device, dtype), network.to(device, dtype)
    if config.backend == "eager":
        use_onednn(ready)
        ready(x)
        return Runner(ready, device, dtype, stopwatch(device))
    make = _compiled if config.backend == "compile" else captured
    return Runner(make(ready, x), device, dtype, stopwatch(device))


def _compiled(network: nn.Module, x: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Compile for inputs like `x`.

    PyTorch keeps what it compiles by the functions that networks of one class share, and beyond 8
    of them runs the next uncompiled, with no more than a warning: hence another limit, that raises.
    """
    compiled = torch.compile(network, dynamic=False)
    limits = {"recompile_limit": 10_000, "accumulated_recompile_limit": 10_000}
    with torch._dynamo.config.patch({**limits, "fail_on_recompile_limit_hit": True}):
        compiled(x)
    return compiled
