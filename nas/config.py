"""Everything a search needs to know, as strict models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from nas.budget import Budget, Limit
from nas.cost.latency import LatencyConfig
from nas.tracking.config import TrackingConfig
from search_spaces.registry import find_space
from search_spaces.space import Option, SearchSpace
from trainers.config import RetrainConfig, TrainConfig
from trainers.data.config import DataConfig
from trainers.strict import Strict

Objective = Literal["dice", "params", "macs", "memory", "latency_ms"]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested keys with dots between them."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _among(value: Any, options: Sequence[Any]) -> bool:
    """Whether `value` is one of `options`, where true is not 1."""
    return any(value == o and isinstance(value, bool) == isinstance(o, bool) for o in options)


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, key by key also within mappings."""
    both = {
        key: _merge(base[key], value) if isinstance(value, dict) else value
        for key, value in changes.items()
        if isinstance(base.get(key), dict)
    }
    return {**base, **changes, **both}


class SpaceConfig(Strict):
    """Which space, and which options of its knobs: `restrict: {levels: [3], conv: [ghost]}`."""

    name: str = "hybrid"
    restrict: dict[str, tuple[Option, ...]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _restrict_by_options(cls, values: Any) -> Any:
        """Check every restricted knob, and give options their own type (a YAML 0 is 0.0).

        `tokens: {prune: ...}` is `tokens.prune: ...`.
        """
        if not isinstance(values, dict) or not isinstance(values.get("restrict", {}), dict):
            return values
        if not isinstance(values.get("name", ""), str):
            return values
        options = {
            knob.name: knob.options for knob in find_space(values.get("name", "hybrid")).knobs()
        }
        restrict = {}
        for knob, allowed in _flat(values.get("restrict", {})):
            if knob not in options:
                raise ValueError(f"restrict.{knob} is no knob; there are {', '.join(options)}")
            wanted = allowed if isinstance(allowed, list | tuple) else [allowed]
            if not wanted or any(not _among(value, options[knob]) for value in wanted):
                raise ValueError(
                    f"restrict.{knob} = {list(wanted)}; expected some of {list(options[knob])}"
                )
            restrict[knob] = tuple(option for option in options[knob] if _among(option, wanted))
        return {**values, "restrict": restrict}

    def space(self) -> SearchSpace:
        """The space itself."""
        return find_space(self.name)


class SearchConfig(Strict):
    """How long to search, and who proposes.

    `trials`: architectures trained at full fidelity. `hours`: no trial starts later than this, and
    those running then are finished. `startup`: random proposals before the sampler's model is used.
    `warm_start`: presets of the space or architecture files that are tried first. `retries`: how
    often a trial whose process died goes on from its last checkpoint.
    """

    trials: Annotated[int, Field(gt=0)] = 24
    hours: Limit | None = None
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    startup: Annotated[int, Field(ge=0)] = 10
    warm_start: tuple[str, ...] = ()
    retries: Annotated[int, Field(ge=0)] = 2


class Resources(Strict):
    """What one trial gets. As many trials run side by side as the machine's CPUs and GPUs allow."""

    cpus: Annotated[int, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0
    concurrent: Annotated[int, Field(gt=0)] | None = None

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """What trials train on."""
        return "cuda" if self.gpus else "cpu"


class RunConfig(Strict):
    """One search. `retrain` holds the keys of `train` that differ when a winner is retrained."""

    name: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    seed: Annotated[int, Field(ge=0)] = 0
    data: DataConfig
    space: SpaceConfig = SpaceConfig()
    train: TrainConfig
    retrain: RetrainConfig = Field(default_factory=dict, validate_default=True)
    objectives: tuple[Objective, ...] = ("dice", "params", "latency_ms")
    budget: Budget = Budget()
    search: SearchConfig = SearchConfig()
    resources: Resources = Resources()
    latency: LatencyConfig = LatencyConfig()
    tracking: TrackingConfig = TrackingConfig()

    @field_validator("retrain", mode="wrap")
    @classmethod
    def _retrain_like_train(
        cls, values: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        """Retraining is training, four times as long unless its own keys say otherwise."""
        train = info.data.get("train")
        if train is None:  # it is wrong, which is all there is to tell
            return values
        if not isinstance(values, dict | None):
            return validate(values)
        like = {**train.model_dump(), "epochs": 4 * train.epochs}
        return validate(_merge(like, values or {}))

    @field_validator("objectives")
    @classmethod
    def _dice_and_a_cost(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        if "dice" not in objectives or len(set(objectives)) < max(2, len(objectives)):
            raise ValueError("expected dice and at least one cost, each once")
        return objectives

    @property
    def needs_latency(self) -> bool:
        """Whether candidates are measured before they are trained."""
        return "latency_ms" in self.objectives or self.budget.latency_ms is not None
