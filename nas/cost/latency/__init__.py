"""How long a network takes on a device: a distribution, with the conditions it was taken under."""

from nas.cost.latency.conditions import Conditions, conditions_of, device_name
from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.errors import LatencyError
from nas.cost.latency.machine import latency_device
from nas.cost.latency.measure import (
    Prepared,
    measure_interleaved,
    measure_latency,
    measure_prepared,
    prepare,
)
from nas.cost.latency.onnx_export import export_onnx
from nas.cost.latency.result import Latency, VolumeLatency

__all__ = [
    "Conditions",
    "Latency",
    "LatencyConfig",
    "LatencyError",
    "Prepared",
    "VolumeLatency",
    "conditions_of",
    "device_name",
    "export_onnx",
    "latency_device",
    "measure_interleaved",
    "measure_latency",
    "measure_prepared",
    "prepare",
]
