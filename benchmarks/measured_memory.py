"""The memory of a training step, measured on the device at hand."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from nas.cost.live_tensors import LiveTensors
from search_spaces.space import Architecture
from trainers.config import TrainConfig
from trainers.data.cache import Entry, VolumeCache
from trainers.data.splits import Cases
from trainers.errors import TrainingDivergedError
from trainers.trainer import Trainer

Terms = Callable[[nn.Module], Sequence[nn.Module]]


def no_terms(network: nn.Module) -> Sequence[nn.Module]:
    """A search's: none."""
    return ()


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes: `weights`; `kept` beside them from the forward to the backward pass; `peak`, the most
    beside them at any time, gradients included."""

    weights: int
    kept: int
    peak: int


def training_memory(network: nn.Module, x: torch.Tensor) -> TrainingMemory:
    """Measure a forward and backward pass of `network`, in the mode it is in, on x (B, C, *S).

    On CUDA the allocator tells; elsewhere every tensor that lives is added up, at its storage's
    size. The gradients of the parameters are there afterwards.
    """
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    if x.is_cuda:
        torch.cuda.reset_peak_memory_stats(x.device)
        before = torch.cuda.memory_allocated(x.device)
        loss = network(x).square().mean()
        kept = torch.cuda.memory_allocated(x.device) - before
        loss.backward()
        peak = torch.cuda.max_memory_allocated(x.device) - before
    else:
        with LiveTensors([x, *network.parameters(), *network.buffers()]) as live:
            loss = network(x).square().mean()
            kept = live.now
            loss.backward()
        peak = live.peak
    return TrainingMemory(weights, kept, peak)


def train_on_noise(
    architecture: Architecture,
    in_channels: int,
    out_channels: int,
    config: TrainConfig,
    device: torch.device,
    terms: Terms = no_terms,
) -> None:
    """One epoch of a `Trainer`, without validation, on a volume of noise as large as the patch.

    `terms`: those of the loss, for the network that is given. Whether it learns is beside the
    point: steps that diverge are steps.
    """
    with TemporaryDirectory() as folder, suppress(TrainingDivergedError):
        cache = _noise(Path(folder), in_channels, out_channels, config.patch)
        cases = Cases(train=("noise",), validation=())
        network = architecture.build(in_channels, out_channels)
        trainer = Trainer(
            network, cache, cases, config, device=device, seed=0, terms=terms(network)
        )
        trainer.run_epoch()


def measured_peak(
    architecture: Architecture,
    in_channels: int,
    out_channels: int,
    config: TrainConfig,
    device: torch.device,
    terms: Terms = no_terms,
) -> int:
    """Bytes that the allocator gave out at the peak of `train_on_noise`, weights included.

    On a CPU torch.profiler tells of every allocation, those inside of operators too. In the second
    step, the moments of the first are there: take an epoch of two or more.
    """
    gc.collect()
    case = (architecture, in_channels, out_channels, config, device, terms)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        train_on_noise(*case)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as told:
        train_on_noise(*case)
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        told.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    memory = [e["args"] for e in sorted(events, key=_time) if e["name"] == "[memory]"]
    before = memory[0]["Total Allocated"] - memory[0]["Bytes"]
    return max(event["Total Allocated"] for event in memory) - before


def _time(event: dict[str, float]) -> float:
    return event.get("ts", 0.0)


def _noise(folder: Path, channels: int, classes: int, shape: Sequence[int]) -> VolumeCache:
    """One case of that shape, with a slab of every class."""
    voxels = int(np.prod(shape))
    image = np.random.default_rng(0).standard_normal(channels * voxels, np.float32)
    label = (np.arange(voxels) * classes // voxels).astype(np.uint8)
    places = [np.flatnonzero(label == c).astype(np.int32) for c in range(1, classes)]
    image.tofile(folder / "images.f32")
    label.tofile(folder / "labels")
    np.concatenate(places).tofile(folder / "foreground.i32")
    depth, height, width = shape
    entry = Entry((depth, height, width), 0, 0, tuple(map(len, places)))
    names = tuple(f"class {c}" for c in range(classes))
    return VolumeCache(folder, channels, names, None, {"noise": entry})
