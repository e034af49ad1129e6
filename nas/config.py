"""Everything a search needs to know, as strict models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nas.cost.latency import LatencyConfig
from nas.tracking.config import TrackingConfig
from search_spaces.registry import find_space
from search_spaces.space import Option, SearchSpace
from trainers.config import RetrainConfig, TrainConfig
from trainers.data.config import DataConfig
from trainers.strict import Strict

Objective = Literal["dice", "params", "macs", "latency_ms"]
Limit = Annotated[float, Field(gt=0)]


class SpaceConfig(Strict):
    """Which space, and which options of its knobs: `restrict: {levels: [3], conv: [ghost]}`."""

    name: str = "hybrid"
    restrict: dict[str, tuple[Option, ...]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _restrict_by_options(cls, values: Any) -> Any:
        """Check every restricted knob, and give options their own type (a YAML 0 is 0.0)."""
        if not isinstance(values, dict) or not isinstance(values.get("restrict", {}), dict):
            return values
        options = {
            knob.name: knob.options for knob in find_space(values.get("name", "hybrid")).knobs()
        }
        restrict = {}
        for knob, allowed in values.get("restrict", {}).items():
            if knob not in options:
                raise ValueError(f"restrict.{knob} is no knob; there are {', '.join(options)}")
            if not isinstance(allowed, list | tuple):
                allowed = [allowed]
            if not allowed or any(value not in options[knob] for value in allowed):
                raise ValueError(
                    f"restrict.{knob} = {list(allowed)}; expected some of {list(options[knob])}"
                )
            restrict[knob] = tuple(o for o in options[knob] if o in allowed)
        return {**values, "restrict": restrict}

    def space(self) -> SearchSpace:
        """The space itself."""
        return find_space(self.name)


class Budget(Strict):
    """Hard limits: a candidate over one of them is never trained."""

    params: Limit | None = None
    macs: Limit | None = None
    latency_ms: Limit | None = None


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


class RunConfig(Strict):
    """One search. `retrain` holds the keys of `train` that differ when a winner is retrained."""

    name: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    seed: Annotated[int, Field(ge=0)] = 0
    data: DataConfig
    space: SpaceConfig = SpaceConfig()
    train: TrainConfig
    retrain: RetrainConfig
    objectives: tuple[Objective, ...] = ("dice", "params", "latency_ms")
    budget: Budget = Budget()
    search: SearchConfig = SearchConfig()
    resources: Resources = Resources()
    latency: LatencyConfig = LatencyConfig()
    tracking: TrackingConfig = TrackingConfig()

    @model_validator(mode="before")
    @classmethod
    def _retrain_like_train(cls, values: Any) -> Any:
        """Retraining is training, four times as long unless its own keys say otherwise."""
        if not isinstance(values, dict) or not isinstance(values.get("train"), dict):
            return values
        epochs = values["train"].get("epochs", TrainConfig.model_fields["epochs"].default)
        longer = {"epochs": 4 * epochs} if isinstance(epochs, int) else {}
        return {**values, "retrain": {**values["train"], **longer, **(values.get("retrain") or {})}}

    @field_validator("objectives")
    @classmethod
    def _dice_and_a_cost(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        if "dice" not in objectives or len(set(objectives)) < max(2, len(objectives)):
            raise ValueError("expected dice and at least one cost, each once")
        return objectives
