"""How the hours that a person gives are shared out."""

from __future__ import annotations

from dataclasses import dataclass

from nas.analysis.plan.machine import MachineFacts

CPU_HOURS, GPU_HOURS = 0.75, 4.0  # by default
CLOSING = 60.0  # seconds: latencies of the front once more, pages, MLflow
KEPT = 0.85  # share of the rest that is planned with
STEP_SECONDS = {"cpu": (0.1, 1.0), "cuda": (0.02, 0.3)}  # of a typical step: least, most
WANTED = 30 * 0.6 * 600  # steps: of 30 candidates, in the mean 60% of 600


@dataclass(frozen=True)
class Deadline:
    """`hours` of a whole search, of which `before` seconds go into planning and preparing."""

    hours: float
    before: float

    @property
    def training(self) -> float:
        """Seconds in which candidates train."""
        return max(0.0, 3600 * self.hours - self.before - CLOSING)

    @property
    def planned(self) -> float:
        """The part of them that a plan fills: forecasts err."""
        return KEPT * self.training


def default_hours(machine: MachineFacts) -> float:
    """A search over lunch; on a GPU over half a day."""
    return GPU_HOURS if machine.gpus else CPU_HOURS


def step_seconds(deadline: Deadline, machine: MachineFacts, slots: int) -> float:
    """What a training step of a typical network may take, so that the hours hold enough steps."""
    least, most = STEP_SECONDS[machine.resources.device]
    return min(most, max(least, deadline.planned * slots / WANTED))
