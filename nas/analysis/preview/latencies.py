"""The latency of a few architectures, measured as a search on this machine measures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from nas.cost.latency import Conditions, LatencyConfig
from nas.cost.latency_probe import Failure, ProbeTask
from nas.cost.latency_probe.local import LocalProber
from nas.study.training_cost import TrainingCosts
from search_spaces.space import Architecture
from trainers.data.check.facts import Progress
from trainers.errors import UserError

WAIT_SECONDS = 0.5


@dataclass(frozen=True)
class Latencies:
    """Milliseconds (median of a pass) by position, why others have none, and what was measured."""

    found: Mapping[int, float]
    failures: Mapping[int, str]
    conditions: Conditions

    @property
    def mean_seconds(self) -> float:
        """Of a pass."""
        return sum(self.found.values()) / len(self.found) / 1e3


def check_measured_here(latency: LatencyConfig) -> None:
    """Raises UserError where the search measures on another machine than this one."""
    if latency.devices:
        raise UserError(
            "--latency measures on this machine alone, and latency.devices names what a search "
            "measures on; preview without it"
        )
    if latency.resources:
        raise UserError(
            "--latency measures on this machine, and latency.resources names another one; preview "
            "without it, or there with --set 'latency.resources={}'"
        )


def measure_latencies(
    latency: LatencyConfig,
    counting: TrainingCosts,
    points: Sequence[Architecture],
    places: Sequence[int],
    seed: int,
    progress: Progress,
) -> Latencies:
    """Those of `points` at `places`, one by one, while nothing else of the preview computes."""
    task = ProbeTask(
        channels=counting.channels,
        classes=counting.classes,
        latency=latency.model_copy(update={"patch": latency.patch or counting.train.patch}),
        device=latency.device_beside(counting.resources.device),
        seed=seed,
    )
    found: dict[int, float] = {}
    failures: dict[int, str] = {}
    with closing(LocalProber(task)) as prober:
        conditions = prober.conditions()
        for done, place in enumerate(places, start=1):
            prober.submit([points[place]])
            while (outcomes := prober.poll(WAIT_SECONDS)) is None:
                pass
            [outcome] = outcomes
            if isinstance(outcome, Failure):
                failures[place] = outcome.reason
            else:
                found[place] = outcome.p50_ms
            progress(done, len(places), "latencies measured")
    return Latencies(found, failures, conditions)
