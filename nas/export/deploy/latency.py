"""The latency of a deployed file, taken in turns with PyTorch's."""

from __future__ import annotations

import torch
from torch import nn

from nas.cost.latency import Latency, LatencyConfig, conditions_of
from nas.cost.latency.measure import Prepared, measure_prepared, prepare
from nas.cost.latency.runner import Runner, example
from nas.cost.latency.timing import stopwatch
from nas.export.deploy.record import Format, Precision
from nas.export.deploy.runtime import Deployed, onnx_device


def time_both(
    network: nn.Module,
    deployed: Deployed,
    channels: int,
    config: LatencyConfig,
    kind: Format,
    precision: Precision,
) -> dict[str, Latency]:
    """`pytorch`: `network` eagerly in float32; `deployed`: the file, on the same device, with the
    way of an ONNX file's input there and back. `config` has the patch."""
    device = onnx_device() if kind == "onnx" else deployed.here.device
    prepared = (
        prepare(network, channels, config, device),
        _prepared(deployed, channels, config, kind, precision, device),
    )
    pytorch, file = measure_prepared(prepared)
    return {"pytorch": pytorch, "deployed": file}


def _prepared(
    deployed: Deployed,
    channels: int,
    config: LatencyConfig,
    kind: Format,
    precision: Precision,
    device: torch.device,
) -> Prepared:
    """`device`: that which computes."""
    given = deployed.here.device
    onnx = kind == "onnx"
    told = config.model_copy(update={"backend": "onnxruntime"}) if onnx else config
    changes = {
        "backend": told.backend if onnx else kind,
        "precision": precision,
        "quantisation": "static" if precision == "int8" else None,
    }
    if not onnx:
        changes["runtime"] = f"torch {torch.__version__}"  # which asks oneDNN by its own rule
    conditions = conditions_of(channels, told, device).model_copy(update=changes)
    with torch.inference_mode():
        deployed(example(conditions.shape).to(given))
    return Prepared(Runner(deployed, given, torch.float32, stopwatch(given)), config, conditions)
