"""What a network is like before and after: Dice, size, multiply-accumulates, latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from nas.cost.count import cost_of
from nas.cost.latency import Latency, LatencyConfig
from nas.cost.latency.measure import measure_prepared, prepare
from nas.export.export_folder import Export
from nas.pareto.result import known
from search_spaces.space import Architecture
from trainers.data.cache import VolumeCache
from trainers.metrics import class_means, mean_dice
from trainers.single_image import onednn_for_single_images
from trainers.validation import score_cases


@dataclass(frozen=True)
class Figures:
    """`dice`: mean foreground Dice on the validation cases, None without any. `bytes`: of the
    weights as they are stored. `macs`: of one patch; `latency_ms`: its median, of the conditions
    that `latency` tells."""

    dice: float | None
    dice_per_class: Mapping[str, float | None]
    params: int
    bytes: int
    macs: int
    latency_ms: float
    latency: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def validation_dice(
    network: nn.Module, cache: VolumeCache, names: Sequence[str], export: Export
) -> tuple[float | None, dict[str, float | None]]:
    """Mean foreground Dice of these cases, and the mean of every class or region."""
    if not names:
        return None, {}
    train, targets = export.trained, cache.targets
    with onednn_for_single_images(network):
        scores = score_cases(
            network.eval(),
            map(cache.image, names),
            [cache.label(name) for name in names],
            targets,
            train.patch,
            train.overlap,
        )
    each = zip(targets.names, class_means(scores.dice).tolist(), strict=True)
    return known(mean_dice(scores.dice)), {name: known(value) for name, value in each}


def latency_config(export: Export, threads: int, in_onnx: bool = False) -> LatencyConfig:
    """How one patch is timed, eagerly in float32, or `in_onnx`, ONNX Runtime on the CPU."""
    runtime: dict[str, Any] = {"backend": "onnxruntime", "device": "cpu"} if in_onnx else {}
    return LatencyConfig(patch=export.trained.patch, threads=threads, **runtime)


def latencies(networks: Sequence[nn.Module], export: Export, threads: int) -> list[Latency]:
    """Of one patch, eagerly in float32, timed in turns."""
    config = latency_config(export, threads)
    device = next(networks[0].parameters()).device
    channels = export.config.task.channels
    return measure_prepared([prepare(each, channels, config, device) for each in networks])


def figures(
    network: nn.Module,
    architecture: Architecture,
    dice: tuple[float | None, Mapping[str, float | None]],
    latency: Latency,
    export: Export,
) -> Figures:
    """All of it, of a network of that architecture."""
    task = export.config.task
    cost = cost_of(architecture, task.channels, task.targets.outputs, tuple(export.trained.patch))
    return Figures(
        *dice,
        params=cost.params,
        bytes=_bytes(network),
        macs=cost.macs,
        latency_ms=latency.p50_ms,
        latency=latency.to_json(),
    )


def _bytes(network: nn.Module) -> int:
    tensors: Sequence[torch.Tensor] = list(network.state_dict().values())
    return sum(t.numel() * t.element_size() for t in tensors)
