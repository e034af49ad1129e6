"""What is known of one candidate once its trial has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["complete", "stopped", "infeasible"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One ended trial.

    `complete`: trained at full fidelity, `dice` is its validation Dice after `epochs` epochs.
    `stopped`: early, by comparison with others after `epochs` epochs; its Dice so far is the end of
    `curve` and nowhere else, for it is not to be compared with a `dice`.
    `infeasible`: no use at all; `reason` says why. Only the complete have a `dice`.

    `params` counts trainable parameters, `macs` the multiply-accumulates of one forward pass of one
    patch (batch 1), `memory` the bytes at the peak of a training step, `latency_ms` the median
    milliseconds of one pass on `device`, of which `latency` tells all. `curve` holds the validation
    Dice of every epoch trained; `dice_per_class` is keyed by class name. `measured`: what the
    network told of itself in its last validation, such as the share of queries it pruned.
    `accumulate`: in how many passes a batch was trained, more than one where memory ran out.
    """

    number: int
    key: str
    architecture: Mapping[str, Any]
    state: State
    reason: str | None = None
    dice: float | None = None
    dice_per_class: Mapping[str, float] = field(default_factory=dict)
    params: int | None = None
    macs: int | None = None
    memory: int | None = None
    latency_ms: float | None = None
    device: str | None = None
    latency: Mapping[str, Any] | None = None
    epochs: int = 0
    curve: tuple[float, ...] = ()
    train_seconds: float = 0.0
    worker_seconds: float = 0.0
    measured: Mapping[str, float] = field(default_factory=dict)
    accumulate: int = 1

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Result:
        """The inverse of `to_json`."""
        return cls(**{**values, "curve": tuple(values.get("curve", ()))})
