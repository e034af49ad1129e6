"""The result of a measurement: the distribution of a network's latency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.cost.latency.conditions import Conditions
from nas.cost.latency.record import Record
from trainers.strict import left_out_at


class VolumeLatency(Record):
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


class Latency(Record):
    """Milliseconds of one forward pass, batch included.

    `repeats`: passes counted, those of both runs. `noise`: by how much the medians of two runs of
    the same network differed, relative to their mean. `windows`: a pass is the mean over so many
    windows of validation cases, with trained weights; None: one of noise, with drawn ones.
    `noise` is None where a command of the user's measured, which tells no runs.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    repeats: int
    warmup: int
    noise: float | None
    conditions: Conditions
    volume: VolumeLatency | None = None
    windows: int | None = left_out_at(None)

    @property
    def patches_per_s(self) -> float:
        """Patches a second, by the median."""
        return 1e3 * self.conditions.shape[0] / self.p50_ms


def summary(
    times: Sequence[float],
    noise: float | None,
    warmup: int,
    conditions: Conditions,
    volume: VolumeLatency | None = None,
    windows: int | None = None,
) -> Latency:
    """The distribution of the milliseconds of all counted passes."""
    p50, p90, p99 = map(float, np.percentile(times, [50, 90, 99]))
    return Latency(
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        mean_ms=float(np.mean(times)),
        repeats=len(times),
        warmup=warmup,
        noise=noise,
        conditions=conditions,
        volume=volume,
        windows=windows,
    )
