"""What a network costs as a run trains it, known without running it."""

from __future__ import annotations

from dataclasses import dataclass

from nas.config.resources import Resources
from nas.cost.count import cost_of
from nas.cost.memory import memory_of
from nas.pareto.budget import Budget
from nas.pareto.objectives import OBJECTIVES
from search_spaces.space import Architecture
from trainers.config import TrainConfig
from trainers.volumes.targets import Targets


@dataclass(frozen=True)
class TrainingCosts:
    """Counts what networks of `channels` and `classes` cost, trained as `train` says on what
    `resources` give a trial.

    `classes`: channels of the logits; `targets`: what these stand for, which a loss depends on.
    """

    train: TrainConfig
    resources: Resources
    budget: Budget
    channels: int
    classes: int
    targets: Targets | None = None

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """Parameters, multiply-accumulates of a patch, bytes at the peak of a training step.

        The memory is left out where the others are over the budget already.
        """
        costs = self.work(architecture)
        if not self.budget.excess(costs):
            costs["memory"] = self.memory(architecture)
        return costs

    def limited(self, architecture: Architecture) -> dict[str, float]:
        """The same; the memory, which takes longest to count, only where it is limited."""
        return self.work(architecture) if self.budget.memory is None else self(architecture)

    def work(self, architecture: Architecture) -> dict[str, float]:
        """Parameters, multiply-accumulates of a patch: every objective that is counted."""
        cost = cost_of(architecture, self.channels, self.classes, self.train.patch)
        return {name: o.counted(cost) for name, o in OBJECTIVES.items() if o.counted}

    def macs_bounds(self, architecture: Architecture) -> tuple[float, float] | None:
        """The least and the most multiply-accumulates of a patch, where the input decides how many
        queries are computed; else None."""
        cost = cost_of(architecture, self.channels, self.classes, self.train.patch)
        return None if cost.macs_least is None else (cost.macs_least, cost.macs)

    def macs_at(self, architecture: Architecture, kept: float) -> float:
        """The multiply-accumulates of a patch of which that share of the queries is kept."""
        patch = self.train.patch
        return cost_of(architecture, self.channels, self.classes, patch, kept=kept).macs

    def memory(self, architecture: Architecture) -> int:
        """Bytes at the peak of a training step."""
        train, resources = self.train, self.resources
        memory = memory_of(
            architecture,
            self.channels,
            self.classes,
            train.patch,
            batch=train.batch,
            precision=train.precision_on(resources.device),
            loss=train.loss,
            device=resources.device,
            threads=resources.cpus,
            ema=train.ema > 0,
            deep_supervision=train.deep_supervision,
            targets=self.targets,
            moments=train.moments,
        )
        return memory.training
