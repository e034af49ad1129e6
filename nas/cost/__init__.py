"""What a network costs: parameters, multiply-accumulates, memory, latency."""

from nas.cost.count import Cost, cost_of, count_macs, count_params
from nas.cost.latency import Conditions, Latency, LatencyConfig, measure_latency
from nas.cost.memory import Memory, memory_of

__all__ = [
    "Conditions",
    "Cost",
    "Latency",
    "LatencyConfig",
    "Memory",
    "cost_of",
    "count_macs",
    "count_params",
    "measure_latency",
    "memory_of",
]
