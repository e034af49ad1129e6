"""A network made ready to run, by backend and precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.errors import LatencyError
from nas.cost.latency.evaluated import evaluated
from nas.cost.latency.timing import Stopwatch, stopwatch
from trainers.errors import UserError, first_line

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SEED = 0


@dataclass(frozen=True)
class Runner:
    """`forward`: x (B, C, D, H, W) of `dtype` on `device` -> logits (B, C_cls, D, H, W).

    What `stopwatch` tells includes all of a call's work.
    """

    forward: Callable[[torch.Tensor], torch.Tensor]
    device: torch.device
    dtype: torch.dtype
    stopwatch: Stopwatch


def make_runner(
    network: nn.Module, shape: tuple[int, ...], config: LatencyConfig, device: torch.device
) -> Runner:
    """A copy of `network` in eval mode, built, compiled, and run once on an input of `shape`.

    Weights and input have the precision's type. Raises LatencyError with the reason where this
    network does not run so, UserError where nothing could; OSError and want of memory pass as they
    are.
    """
    try:
        with torch.inference_mode():
            return _make(evaluated(network), example(shape), config, device)
    except (UserError, LatencyError, OSError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        how = f"{config.precision} with {config.backend} on {device.type}"
        raise LatencyError(f"{how}: {first_line(error)}") from error


def example(shape: tuple[int, ...], seed: int = SEED) -> torch.Tensor:
    """A standard normal input, always the same one; no other random number changes by it."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _make(
    network: nn.Module, x: torch.Tensor, config: LatencyConfig, device: torch.device
) -> Runner:
    if config.backend == "onnxruntime":
        from nas.cost.latency.onnx_runner import onnx_runner

        return onnx_runner(network, x, config, device)
    dtype = DTYPES[config.precision]
    ready = network.to(device, dtype)
    if config.backend == "compile":
        return Runner(_compiled(ready, x.to(device, dtype)), device, dtype, stopwatch(device))
    ready(x.to(device, dtype))
    return Runner(ready, device, dtype, stopwatch(device))


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
