"""The latency of a deployed file, taken in turns with PyTorch's."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from nas.cost.latency import Latency, LatencyConfig, conditions_of
from nas.cost.latency.measure import Prepared, measure_prepared, prepare
from nas.cost.latency.runner import Runner, example
from nas.cost.latency.timing import stopwatch
from nas.export.deploy.record import Format, Precision
from nas.export.deploy.runtime import Deployed


def time_both(
    network: nn.Module,
    deployed: Deployed,
    channels: int,
    config: LatencyConfig,
    kind: Format,
    precision: Precision,
) -> dict[str, Latency]:
    """`pytorch`: `network` eagerly in float32; `deployed`: the file. `config` has the patch."""
    device = deployed.here.device
    eager = prepare(network, channels, config, device)
    return dict(
        zip(
            ("pytorch", "deployed"),
            measure_prepared([eager, _prepared(deployed, channels, config, kind, precision)]),
            strict=True,
        )
    )


def _prepared(
    deployed: Deployed, channels: int, config: LatencyConfig, kind: Format, precision: Precision
) -> Prepared:
    device = deployed.here.device
    onnx = kind == "onnx"
    told = config.model_copy(update={"backend": "onnxruntime"}) if onnx else config
    conditions = replace(
        conditions_of(channels, told, device),
        backend=told.backend if onnx else kind,
        precision=precision,
        quantisation="static" if precision == "int8" else None,
    )
    with torch.inference_mode():
        deployed(example(conditions.shape).to(device))
    return Prepared(
        Runner(deployed, device, torch.float32, stopwatch(device)), channels, config, conditions
    )
