"""What a network costs as a run trains it, known without running it."""

from __future__ import annotations

from nas.config import RunConfig
from nas.cost import cost_of, memory_of
from search_spaces.space import Architecture


def footprint(
    architecture: Architecture, config: RunConfig, channels: int, classes: int
) -> dict[str, float]:
    """Parameters, multiply-accumulates of a patch, bytes at the peak of a training step.

    The memory is left out where the others are over the budget already.
    """
    train, device = config.train, config.resources.device
    cost = cost_of(architecture, channels, classes, train.patch)
    costs: dict[str, float] = {"params": cost.params, "macs": cost.macs}
    if not config.budget.excess(costs):
        memory = memory_of(
            architecture,
            channels,
            classes,
            train.patch,
            batch=train.batch,
            precision=train.precision_on(device),
            loss=train.loss,
            device=device,
        )
        costs["memory"] = memory.training
    return costs
