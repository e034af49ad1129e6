"""How long a network takes on a device: a distribution, with the conditions it was taken under.

What is named here loads no PyTorch; measuring is in `nas.cost.latency.measure`.
"""

from nas.cost.latency.conditions import Conditions, conditions_of, device_name
from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.errors import LatencyError
from nas.cost.latency.result import Latency, VolumeLatency

__all__ = [
    "Conditions",
    "Latency",
    "LatencyConfig",
    "LatencyError",
    "VolumeLatency",
    "conditions_of",
    "device_name",
]
