"""What a probe needs to know besides the architectures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.cost.latency import LatencyConfig


@dataclass(frozen=True, kw_only=True)
class ProbeTask:
    """Networks of `channels` and `classes`, measured as `latency` says, its `patch` filled in.

    `device`: that of the trials, which `latency.device = auto` means. `machine_lock`: that of the
    trials on the machine that measures; None where none run there.
    """

    channels: int
    classes: int
    latency: LatencyConfig
    device: str
    seed: int = 0
    machine_lock: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values."""
        return {
            **vars(self),
            "latency": self.latency.model_dump(mode="json"),
            "machine_lock": None if self.machine_lock is None else str(self.machine_lock),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ProbeTask:
        """The inverse of `to_json`."""
        path = values["machine_lock"]
        latency = LatencyConfig.model_validate(values["latency"])
        return cls(**{**values, "latency": latency, "machine_lock": path and Path(path)})
