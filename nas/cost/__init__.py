"""What a network costs: parameters, multiply-accumulates, latency."""

from nas.cost.count import Cost, cost_of, count_macs, count_params
from nas.cost.latency import Latency, LatencyConfig, measure_latency

__all__ = [
    "Cost",
    "Latency",
    "LatencyConfig",
    "cost_of",
    "count_macs",
    "count_params",
    "measure_latency",
]
