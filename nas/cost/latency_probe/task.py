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

    `device`: that of the trials, which `latency.device = auto` means. `gate`: that of the trials on
    the machine that measures; None where none run there.
    """

    channels: int
    classes: int
    latency: LatencyConfig
    device: str
    seed: int = 0
    gate: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values."""
        return {
            **vars(self),
            "latency": self.latency.model_dump(mode="json"),
            "gate": None if self.gate is None else str(self.gate),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ProbeTask:
        """The inverse of `to_json`."""
        gate = None if values["gate"] is None else Path(values["gate"])
        latency = LatencyConfig.model_validate(values["latency"])
        return cls(**{**values, "latency": latency, "gate": gate})
