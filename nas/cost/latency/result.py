"""The result of a measurement: the distribution of a network's latency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nas.cost.latency.conditions import Conditions


@dataclass(frozen=True)
class VolumeLatency:
    """One sliding-window prediction of a whole volume in memory. `shape`: (D, H, W)."""

    shape: tuple[int, int, int]
    overlap: float
    p50_ms: float
    mean_ms: float
    repeats: int

    @property
    def volumes_per_s(self) -> float:
        """Volumes a second, by the median."""
        return 1e3 / self.p50_ms

    @property
    def frames_per_s(self) -> float:
        """Slices across the last axis a second: axial ones where volumes lie in RAS."""
        return self.shape[-1] * self.volumes_per_s


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one forward pass, batch included.

    `repeats`: passes counted, those of both runs. `noise`: by how much the medians of two runs of
    the same network differed, relative to their mean.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    repeats: int
    warmup: int
    noise: float
    conditions: Conditions
    volume: VolumeLatency | None = None

    @property
    def patches_per_s(self) -> float:
        """Patches a second, by the median."""
        return 1e3 * self.conditions.shape[0] / self.p50_ms

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        volume = self.volume and {**asdict(self.volume), "shape": list(self.volume.shape)}
        return {**asdict(self), "conditions": self.conditions.to_json(), "volume": volume}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Latency:
        """The inverse of `to_json`."""
        volume = values["volume"]
        if volume is not None:
            volume = VolumeLatency(**{**volume, "shape": tuple(volume["shape"])})
        conditions = Conditions.from_json(values["conditions"])
        return cls(**{**values, "conditions": conditions, "volume": volume})
