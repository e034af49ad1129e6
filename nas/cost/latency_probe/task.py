"""What a probe needs to know besides the architectures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.cost.latency import LatencyConfig
from nas.cost.latency.record import Record


class ProbeTask(Record):
    """Networks of `channels` and `classes`, measured as `latency` says, its `patch` filled in.

    `device`: that of the trials, which `latency.device = auto` means. `machine_lock`: the
    name of that of the trials; None where none run on the machine that measures.
    """

    channels: int
    classes: int
    latency: LatencyConfig
    device: str
    seed: int = 0
    machine_lock: str | None = None


@dataclass(frozen=True)
class Trained:
    """What networks are measured by in place of drawn weights and noise.

    `weights`: the checkpoint of each network, None where it has none and weights are drawn.
    `windows`: an `.npy` file of (N, B, C, D, H, W) float32; see `measure_prepared`.
    """

    weights: Sequence[Path | None]
    windows: Path
