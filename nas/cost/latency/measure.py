"""The latency of networks: made ready, then timed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

import numpy as np
import torch
from torch import nn

from nas.cost.latency.backends import make_runner
from nas.cost.latency.conditions import Conditions, conditions_of
from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.result import Latency, VolumeLatency, summary
from nas.cost.latency.runner import Runner, example
from nas.cost.latency.timing import (
    Pass,
    interleave,
    memory_settled,
    take_samples,
    threads_set,
)
from nas.cost.latency.volume import volume_pass


@dataclass(frozen=True)
class Prepared:
    """A network that is built, exported and compiled: it only has to be timed."""

    runner: Runner
    config: LatencyConfig
    conditions: Conditions


def measure_latency(
    network: nn.Module, channels: int, config: LatencyConfig, device: torch.device
) -> Latency:
    """`prepare` a network and `measure_prepared` it alone; raises as `prepare`."""
    return measure_prepared([prepare(network, channels, config, device)])[0]


def prepare(
    network: nn.Module, channels: int, config: LatencyConfig, device: torch.device
) -> Prepared:
    """Build, export, compile a copy: all that takes time and is not timed.

    Raises LatencyError for a network that does not run so, UserError where none could here.
    """
    conditions = conditions_of(channels, config, device)
    with threads_set(config.threads):
        runner = make_runner(network, conditions.shape, config, device)
    return Prepared(runner, config, conditions)


@torch.inference_mode()
def measure_prepared(
    prepared: Sequence[Prepared], windows: torch.Tensor | None = None
) -> list[Latency]:
    """Time eval-mode passes of networks prepared under one configuration, in turns.

    All get the same random input, or in every pass all of `windows` (N, B, C, D, H, W), of which
    the mean counts: where the input decides what is computed, one window is not like another.
    Memory is cleared first, Python's garbage collector is off meanwhile, and clocks are left alone.
    Each network has two runs of `config.repeats` passes or `config.seconds`; where their medians
    differ by more than 5% for any network, all are measured again, three times at most, and the
    quietest attempt is kept. CUDA passes are timed by events, from an idle device on; on a CPU, and
    in ONNX Runtime, by the clock. The number of threads is left as it was.
    """
    if not prepared:
        return []
    config = prepared[0].config
    with threads_set(config.threads), memory_settled():
        passes = [_pass(p, windows) for p in prepared]
        samples = take_samples(passes, config.warmup, config.repeats, config.seconds)
        volumes: list[VolumeLatency | None] = [None] * len(prepared)
        if config.volume is not None:
            volumes[:] = _measure_volumes(prepared, config)
    count = None if windows is None else len(windows)
    return [
        summary(sample.times, sample.noise, config.warmup, p.conditions, volume, count)
        for sample, p, volume in zip(samples, prepared, volumes, strict=True)
    ]


def _pass(prepared: Prepared, windows: torch.Tensor | None) -> Pass:
    runner = prepared.runner
    given = example(prepared.conditions.shape)[None] if windows is None else windows
    inputs = given.to(runner.device, runner.dtype).unbind()
    return lambda: fmean(runner.stopwatch(partial(runner.forward, x)) for x in inputs)


def _measure_volumes(prepared: Sequence[Prepared], config: LatencyConfig) -> list[VolumeLatency]:
    """A volume at a time, in turns: its own windows are warm-up enough."""
    assert config.volume is not None
    passes = [volume_pass(p.runner, p.conditions.shape[1], config) for p in prepared]
    runs = interleave(passes, config.repeats, config.seconds, turn=1, settle=False)
    return [
        VolumeLatency(
            shape=config.volume,
            overlap=config.overlap,
            p50_ms=float(np.median(run)),
            mean_ms=float(np.mean(run)),
            repeats=len(run),
        )
        for run in runs
    ]
