"""Latency of one forward pass, measured on the device at hand."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import nn

from trainers.strict import Strict


class LatencyConfig(Strict):
    """`warmup` passes are not counted; then at least `repeats` are, for `seconds` at most.

    Three repeats are always taken, however long they last.
    """

    warmup: Annotated[int, Field(ge=0)] = 3
    repeats: Annotated[int, Field(ge=3)] = 30
    seconds: Annotated[float, Field(gt=0)] = 2.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one forward pass at the stated shape, batch included."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    repeats: int
    device: str
    threads: int
    shape: tuple[int, ...]


@torch.inference_mode()
def measure_latency(
    network: nn.Module, shape: tuple[int, ...], config: LatencyConfig, device: torch.device
) -> Latency:
    """Time eval-mode float32 forward passes of `network` on an input of `shape` (B, C, D, H, W).

    CUDA work is synchronised around every pass. The network is left in the mode it came in.
    """
    was_training = network.training
    try:
        times = _time_passes(network.eval().to(device), torch.randn(shape, device=device), config)
    finally:
        network.train(was_training)
    p50, p90, p99 = np.percentile(times, [50, 90, 99])
    return Latency(
        float(p50),
        float(p90),
        float(p99),
        len(times),
        device_name(device),
        torch.get_num_threads(),
        shape,
    )


def _time_passes(network: nn.Module, x: torch.Tensor, config: LatencyConfig) -> list[float]:
    """Milliseconds of every counted pass."""
    for _ in range(config.warmup):
        network(x)
    times: list[float] = []
    started = perf_counter()
    while len(times) < 3 or (
        len(times) < config.repeats and perf_counter() - started < config.seconds
    ):
        _synchronise(x.device)
        before = perf_counter()
        network(x)
        _synchronise(x.device)
        times.append((perf_counter() - before) * 1e3)
    return times


def device_name(device: torch.device) -> str:
    """The card's or the processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_model() or platform.processor() or platform.machine()


def _cpu_model() -> str:
    """Linux alone does not tell it through `platform`."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
