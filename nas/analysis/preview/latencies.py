"""The latency of a few architectures, measured as a search on this machine measures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from nas.cost.latency import Conditions, LatencyConfig
from nas.cost.latency_probe import Failure, ProbeTask
from nas.cost.latency_probe.local import LocalProber
from nas.pareto.objectives import LATENCY, latency_on
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


def measured_here(latency: LatencyConfig) -> dict[str, LatencyConfig]:
    """How this machine measures, by the name of each latency that a search has from it.

    Raises UserError where the search measures on other machines alone.
    """
    if latency.devices:
        here = [name for name, device in latency.devices.items() if device.here]
        if not here:
            raise UserError(
                "--latency measures on this machine, and each of latency.devices "
                f"({', '.join(latency.devices)}) is another one; preview without it, or add a "
                "device without url, command and resources"
            )
        return {latency_on(name): latency.on(name) for name in here}
    if latency.resources:
        raise UserError(
            "--latency measures on this machine, and latency.resources names another one; preview "
            "without it, or there with --set 'latency.resources={}'"
        )
    return {LATENCY: latency}


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
