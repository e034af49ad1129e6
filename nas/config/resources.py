"""What one trial gets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nas.pareto.budget import Limit
from trainers.strict import Strict


class Resources(Strict):
    """What one trial gets. As many trials run side by side as the machines have room for.

    `gpus` may be a fraction: 0.5 puts two trials on a GPU. `custom`: resources that a cluster's
    nodes were started with, by name. `labels`: what the labels of a trial's node must be.
    `niceness`: of the trials' processes on this machine, as of the command `nice`; at 19 they give
    way to all other work, and starve beside it. On a cluster it is its nodes' own
    (`RAY_worker_niceness` of `ray start`).
    """

    cpus: Annotated[int, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    custom: dict[str, Limit] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    concurrent: Annotated[int, Field(gt=0)] | None = None
    niceness: Annotated[int, Field(ge=0, le=19)] = 0

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """What trials train on."""
        return "cuda" if self.gpus else "cpu"
