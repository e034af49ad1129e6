"""What is known of one candidate once its trial has ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from nas.pareto.objectives import COSTS, DICE, UNKNOWN, is_cost, latency_on
from search_spaces.registry import load_architecture
from search_spaces.space import Architecture

State = Literal["complete", "stopped", "infeasible"]
ABSENT = "in no validation case"  # a class that has no Dice


def known(value: float | None) -> float | None:
    """The value, None where it is no number."""
    return None if value is None or math.isnan(value) else value


def class_dice(dice: Mapping[str, float | None], name: str) -> str:
    """The Dice of a class as a table has it: `0.8123`, that it is absent, or that nobody knows."""
    if name not in dice:
        return UNKNOWN
    return ABSENT if dice[name] is None else DICE.exact(dice[name])


@dataclass(frozen=True, kw_only=True)
class Result:
    """One ended trial.

    `complete`: trained at full fidelity, `dice` is its validation Dice after `epochs` epochs.
    Trained again with other seeds, `trainings` holds the Dice of each training, the search's own
    first, and `dice` (also `dice_per_class`) is their mean; empty where there was one training.
    `stopped`: early, by comparison with others after `epochs` epochs; its Dice so far is the end of
    `curve` and nowhere else, for it is not to be compared with a `dice`.
    `infeasible`: no use at all; `reason` says why. Only the complete have a `dice`.

    `space`, `key` and `architecture` are the record of its network. `costs`, as far as they are
    known, by the names of `nas.pareto.objectives`: trainable parameters, multiply-accumulates of
    one forward pass of one patch (batch 1), bytes at the peak of a training step, median
    milliseconds of one pass on `device`, of which `latency` tells all; of several devices, what
    `latencies` tells of each, by its name, as far as it answered. `curve` holds the validation
    Dice of every epoch trained; `dice_per_class` is keyed by class name, None for a class in no
    validation case (and predicted in none). `measured`: what the network told of itself in its last
    validation, such as the share of queries it pruned. `accumulate`: in how many passes a batch was
    trained, more than one where memory ran out. `baseline`: what a network is called that was set
    beside the candidates of a search; empty for a candidate. `macs_bounds`: where the input decides
    how many queries are computed, the least and the most multiply-accumulates there are; `costs`
    has those at the share that it was seen to keep. None where there is one number. `compressed`:
    of a network that was made smaller after the search, the `method`, the trial `of` which it was
    made and the fingerprint of its `weights`; empty for any other.
    """

    number: int
    space: str
    key: str
    architecture: Mapping[str, Any]
    state: State
    reason: str | None = None
    dice: float | None = None
    dice_per_class: Mapping[str, float | None] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    device: str | None = None
    latency: Mapping[str, Any] | None = None
    latencies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    epochs: int = 0
    curve: tuple[float, ...] = ()
    train_seconds: float = 0.0
    worker_seconds: float = 0.0
    measured: Mapping[str, float] = field(default_factory=dict)
    accumulate: int = 1
    trainings: tuple[float, ...] = ()
    baseline: str = ""
    macs_bounds: tuple[float, float] | None = None
    compressed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_candidate(self) -> bool:
        """Whether the search found it; others stand beside its front."""
        return not (self.baseline or self.compressed)

    @property
    def name(self) -> str:
        """What its files and its run are called, which no other of the search is: its key, of a
        compressed network with the method. A trial may have found the same architecture."""
        return f"{self.key}-{self.compressed['method']}" if self.compressed else self.key

    @property
    def made(self) -> str:
        """How a compressed network was made: `prune of KEY`; empty for any other."""
        return f"{self.compressed['method']} of {self.compressed['of']}" if self.compressed else ""

    @property
    def label(self) -> str:
        """What tables and messages call it: a baseline by its name, others by their keys."""
        return f"{self.key} ({self.made})" if self.compressed else self.baseline or self.key

    @property
    def most_costs(self) -> Mapping[str, float]:
        """Its costs with every query kept: what is known before a training, and admitted by."""
        return {**self.costs, "macs": self.macs_bounds[1]} if self.macs_bounds else self.costs

    def measured_on(self, latencies: Mapping[str, Mapping[str, Any]]) -> Result:
        """With these latencies on some of several devices, by their names; the others stay."""
        costs = {latency_on(name): one["p50_ms"] for name, one in latencies.items()}
        return replace(
            self,
            latencies={**self.latencies, **latencies},
            costs={**self.costs, **costs},
        )

    @property
    def bounds(self) -> dict[str, float]:
        """`macs_bounds` as columns, `macs_least` and `macs_most`; empty where there are none."""
        return dict(zip(("macs_least", "macs_most"), self.macs_bounds or (), strict=False))

    def value(self, objective: str) -> float | None:
        """Its Dice or one of its costs; None where it is not known."""
        return self.dice if objective == "dice" else self.costs.get(objective)

    def network(self) -> Architecture:
        """Its architecture, which builds the network.

        Raises ArchitectureError where this version's space does not have it.
        """
        return load_architecture(
            {"space": self.space, "key": self.key, "architecture": self.architecture}
        )

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values; the space, which a file of results names once, only of what
        is no candidate.

        Costs stand beside the other values, those that are always asked for even if unknown;
        `trainings` only where there are several, `macs_bounds` and `latencies` only where there are
        any.
        """
        told: dict[str, Any] = {}
        optional = "baseline", "trainings", "macs_bounds", "latencies", "compressed"
        untold = {name for name in optional if not getattr(self, name)}
        untold |= {"space"} if self.is_candidate else set()
        for name in (f.name for f in fields(self) if f.name not in untold):
            if name == "costs":
                told |= {**dict.fromkeys(COSTS), **self.costs}
            else:
                told[name] = getattr(self, name)
        return told

    @classmethod
    def from_json(cls, values: Mapping[str, Any], space: str) -> Result:
        """The inverse of `to_json`, for a result of that space where it names no other.

        Raises TypeError, KeyError, ValueError or AttributeError for what `to_json` never wrote.
        """
        costs = {n: v for n, v in values.items() if is_cost(n) and v is not None}
        others = {name: value for name, value in values.items() if not is_cost(name)}
        series = {name: tuple(values.get(name, ())) for name in ("curve", "trainings")}
        # Version 0.1 wrote NaN for a class in no validation case.
        dice = {name: known(value) for name, value in values.get("dice_per_class", {}).items()}
        bounds = values.get("macs_bounds")
        others["macs_bounds"] = None if bounds is None else tuple(bounds)
        read = {"costs": costs, "dice_per_class": dice, **series}
        result = cls(**{"space": space, **others, **read})
        _check_types(result)
        return result


def _check_types(result: Result) -> None:
    """Raise TypeError where a file has a value of another type than a search writes."""
    numbers: list[Any] = [result.dice, *result.dice_per_class.values(), *result.costs.values()]
    numbers += [*result.curve, *result.trainings, *(result.macs_bounds or ())]
    numbers += [result.epochs, result.number, result.train_seconds, result.worker_seconds]
    texts: list[Any] = [result.key, result.space, result.baseline, result.reason, result.device]
    maps: list[Any] = [result.architecture, result.latency, *result.latencies.values()]
    maps += [result.measured, result.compressed]
    kinds: list[tuple[Any, list[Any]]] = [((int, float), numbers), (str, texts), (Mapping, maps)]
    for kind, found in kinds:
        for value in found:
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{value!r} is none of what a result holds")
    if result.state not in ("complete", "stopped", "infeasible") or result.key is None:
        raise ValueError(f"no result is {result.state!r}")
