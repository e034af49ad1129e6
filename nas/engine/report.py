"""What an evaluation tells while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Fidelity:
    """How much of a whole evaluation was done: what may be compared has the same.

    `epochs` trained; `data`, `resolution`: the shares of the training cases, and of the voxels
    along an axis, that were used. `shared`: whether the weights are shared with other candidates.
    """

    epochs: int = 0
    data: float = 1.0
    resolution: float = 1.0
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """How far a candidate is. `done`: it has ended, and where `reason` is set, it failed.

    `seconds`: those of the latest step, training and validation and nothing else; `earlier`: those
    of the steps before a checkpoint that this process went on from. `curve` holds the
    Dice of every validation so far, `measured` what the network told of itself in the latest.
    `accumulate`: in how many passes a batch is trained. `warning`: what the person at the terminal
    should know. `saved`: whether the checkpoint holds what is told here, if it holds anything.
    """

    fidelity: Fidelity = Fidelity()
    loss: float | None = None
    dice: float | None = None
    dice_per_class: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    earlier: float = 0.0
    curve: tuple[float, ...] = ()
    measured: Mapping[str, float] = field(default_factory=dict)
    done: bool = False
    reason: str | None = None
    accumulate: int = 1
    warning: str | None = None
    saved: bool = True

    @property
    def epoch(self) -> int:
        """The epochs trained so far."""
        return self.fidelity.epochs
