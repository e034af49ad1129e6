"""What a network costs as a run trains it, known without running it."""

from __future__ import annotations

from nas.config.resources import Resources
from nas.config.run_config import RunConfig
from nas.cost.count import cost_of
from nas.cost.memory import memory_of
from search_spaces.space import Architecture
from trainers.config import TrainConfig


def footprint(
    architecture: Architecture, config: RunConfig, channels: int, classes: int
) -> dict[str, float]:
    """Parameters, multiply-accumulates of a patch, bytes at the peak of a training step.

    The memory is left out where the others are over the budget already.
    """
    cost = cost_of(architecture, channels, classes, config.train.patch)
    costs: dict[str, float] = {"params": cost.params, "macs": cost.macs}
    if not config.budget.excess(costs):
        costs["memory"] = step_memory(
            architecture, config.train, config.resources, channels, classes
        )
    return costs


def step_memory(
    architecture: Architecture,
    train: TrainConfig,
    resources: Resources,
    channels: int,
    classes: int,
) -> int:
    """Bytes at the peak of a training step on what a trial gets."""
    memory = memory_of(
        architecture,
        channels,
        classes,
        train.patch,
        batch=train.batch,
        precision=train.precision_on(resources.device),
        loss=train.loss,
        device=resources.device,
        threads=resources.cpus,
    )
    return memory.training
