"""What is known of latencies on several devices, each by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.cost.latency import Conditions, Latency
from nas.cost.latency.record import Record


@dataclass(frozen=True)
class DeviceLatencies:
    """The latencies of one network, as far as the devices answered. `waiting`: why the others have
    none yet."""

    known: Mapping[str, Latency]
    waiting: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Those that are known, as plain JSON values."""
        return {name: latency.to_json() for name, latency in self.known.items()}


class DeviceConditions(Record):
    """Under which conditions each device measures; None of one that is away."""

    devices: dict[str, Conditions | None]
