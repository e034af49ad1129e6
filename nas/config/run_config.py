"""Everything a search needs to know, as strict models."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_validator,
)

from nas.config.device_latencies import check_devices, check_objectives, on_each_device
from nas.config.durations import Hours, Minutes
from nas.config.early_stopping import EarlyStopping
from nas.config.nested import leaves, with_left_out
from nas.config.removed import without_removed
from nas.config.resources import Resources
from nas.config.supernet import SPACE, SupernetConfig
from nas.config.tracking import TrackingConfig
from nas.cost.latency import LatencyConfig
from nas.pareto.budget import Budget
from nas.pareto.objectives import is_latency
from search_spaces.baselines import PYRAMIDS
from search_spaces.registry import find_space
from search_spaces.space import Option, SearchSpace
from trainers.config import RetrainConfig, TrainConfig
from trainers.data.registry import DataConfig
from trainers.errors import shortened
from trainers.strict import Strict, left_out_at


def _among(value: Any, options: Sequence[Any]) -> bool:
    """Whether `value` is one of `options`, where true is not 1."""
    return any(value == o and isinstance(value, bool) == isinstance(o, bool) for o in options)


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, key by key also within mappings; one with a `preset` replaces all."""
    both = {
        key: _merge(base[key], value)
        if isinstance(value, dict) and "preset" not in value
        else value
        for key, value in changes.items()
        if isinstance(base.get(key), dict)
    }
    return {**base, **changes, **both}


def _by_knob(
    values: Mapping[str, Any], space: SearchSpace, where: str
) -> dict[str, tuple[Option, ...]]:
    """Options of knobs, each checked, and of the option's own type (a YAML 0 is 0.0).

    `tokens: {prune: ...}` is `tokens.prune: ...`. Raises ValueError.
    """
    options = {knob.name: knob.options for knob in space.knobs()}
    found: dict[str, tuple[Option, ...]] = {}
    for knob, allowed in leaves(values, within=(dict,)):
        if knob in found:
            raise ValueError(f"{where}.{knob} stands twice, in one word and in two; keep one")
        if knob not in options:
            near = difflib.get_close_matches(knob, options, n=1)
            hint = f"did you mean {near[0]}? There" if near else "there"
            told = f"{where}.{shortened(knob)} is no knob; {hint} are: {', '.join(options)}"
            raise ValueError(told)
        wanted = allowed if isinstance(allowed, list | tuple) else [allowed]
        if not wanted or any(not _among(value, options[knob]) for value in wanted):
            raise ValueError(
                f"{where}.{knob} = {shortened(repr(list(wanted)))}; expected some of "
                f"{list(options[knob])}"
            )
        found[knob] = tuple(option for option in options[knob] if _among(option, wanted))
    return found


class SpaceConfig(Strict):
    """Which space, and which options of its knobs: `restrict: {levels: [3], conv: [ghost]}`.

    `axes: spacing` has strides and kernels by axis where voxels are over twice as long along one as
    along another; `isotropic` treats all axes alike.
    """

    name: str = "hybrid"
    axes: Literal["spacing", "isotropic"] = left_out_at("spacing")
    restrict: dict[str, tuple[Option, ...]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _restrict_by_options(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("restrict", {}), dict):
            return values
        if not isinstance(values.get("name", ""), str):
            return values
        space = find_space(values.get("name", "hybrid"))
        return {**values, "restrict": _by_knob(values.get("restrict", {}), space, "restrict")}

    def space(self) -> SearchSpace:
        return find_space(self.name)


class SearchConfig(Strict):
    """How long to search, who proposes, and what becomes of candidates that do badly.

    `budget`: what is spent to its end. `epochs`: as many in all as `epochs` says, or as `trials`
    whole trainings have; what early stopping saves buys more candidates. `trials`: as many
    trainings, complete or stopped. `hours` (of all sessions together, of each once its data are
    prepared): no trial starts later, and those running then are finished; they limit the other
    budgets, too. `confirm`: the share of it, its last part, in which members of the front are
    trained again with other seeds; 0 for none.

    `sampler`: a name, or a mapping of `name` and arguments. `startup`: proposals before its model
    is used, made by `startup_sampler`. `prior`: options that are more probable than others,
    `{conv: ghost}`, in the place of the knobs' defaults. `warm_start`: what is tried first, scaled
    into the space: `ladder` (the space's plain network at several sizes), presets, architecture
    files, folders of earlier searches. `baselines`: well-known networks that are trained beside the
    candidates, by the same recipe: `unet`, `segresnet` and `nnunet` at sizes that the search
    chooses, other presets as they are.

    `strategy`: `train` trains every candidate by itself. `supernet` trains one network whose
    weights all share, scores many candidates with them, and trains those that promise most by
    themselves; see `supernet`.

    `evaluator`: how a candidate gets its Dice, a name, or a mapping of `name` and arguments:
    `training` (each from scratch), or one that an installed package offers.

    `retries`: how often a trial whose process died goes on from its last checkpoint. `trial_hours`:
    who trains longer is infeasible. `stall_minutes`: a training step that takes longer hangs.
    `on_memory`: `halve` trains a candidate that ran out of memory once more, each batch in halves.
    """

    trials: Annotated[int, Field(gt=0)] = 24
    hours: Hours | None = None
    epochs: Annotated[int, Field(gt=0)] | None = None
    budget: Literal["epochs", "trials", "hours"] = "epochs"
    confirm: Annotated[float, Field(ge=0, lt=1)] = 0.15
    early_stopping: EarlyStopping | None = EarlyStopping()
    sampler: str | dict[str, Any] = "ehvi"
    startup: Annotated[int, Field(ge=0)] = 3
    startup_sampler: Literal["prior", "random", "qmc"] = "prior"
    prior: dict[str, Option] = Field(default_factory=dict)
    warm_start: tuple[str, ...] = ("ladder",)
    baselines: tuple[str, ...] = PYRAMIDS
    strategy: Literal["train", "supernet"] = left_out_at("train")
    supernet: SupernetConfig = left_out_at(SupernetConfig())
    evaluator: str | dict[str, Any] = "training"
    retries: Annotated[int, Field(ge=0)] = 2
    trial_hours: Hours | None = None
    stall_minutes: Minutes = 30.0
    on_memory: Literal["infeasible", "halve"] = "infeasible"

    @property
    def evaluator_name(self) -> Any:
        """What `evaluator` names, with or without arguments."""
        return self.evaluator if isinstance(self.evaluator, str) else self.evaluator.get("name")

    @property
    def inherits(self) -> bool:
        """Whether candidates begin with weights that they share."""
        return self.strategy == "supernet" and self.supernet.fine_tune is not None

    def all_epochs(self, training: int) -> int:
        """What the budget `epochs` pays for, where a whole training has so many."""
        return self.epochs or self.trials * training

    @model_validator(mode="before")
    @classmethod
    def _without_continuation(cls, values: Any) -> Any:
        return without_removed(values, "continuation", 0.0)

    @model_validator(mode="after")
    def _budget_is_known(self) -> Self:
        if self.budget == "hours" and self.hours is None:
            raise ValueError("budget is hours, but hours is not set; expected how many")
        return self

    @model_validator(mode="after")
    def _supernet_trains_by_itself(self) -> Self:
        if self.strategy == "supernet" and self.evaluator_name != "training":
            raise ValueError(
                f"strategy: supernet trains candidates itself, and evaluator is "
                f"{self.evaluator_name!r}; leave one of the two out"
            )
        return self


class RunConfig(Strict):
    """One search. `retrain` holds the keys of `train` that differ when a winner is retrained.

    With `latency.devices` the `latency_ms` of `objectives` and `budget` stands for that on each.
    """

    name: str
    seed: Annotated[int, Field(ge=0)] = 0
    data: DataConfig
    space: SpaceConfig = SpaceConfig()
    train: TrainConfig
    retrain: RetrainConfig = Field(default_factory=dict, validate_default=True)
    objectives: tuple[str, ...] = ("dice", "params", "latency_ms")
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

    @field_serializer("retrain", mode="wrap")
    def _otherwise_than_train(
        self, retrain: RetrainConfig, dump: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        """With the keys that are left out at their default where `train` has another value, which
        reading would put in their place."""
        return with_left_out(retrain, dump(retrain), self.train.model_dump())

    @field_validator("name")
    @classmethod
    def _name_of_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError("expected letters and digits, with . - _ between them")
        return name

    @field_validator("search", mode="wrap")
    @classmethod
    def _prior_by_options(
        cls, values: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        """Check `search.prior` by the space, as `space.restrict` is."""
        space, told = info.data.get("space"), values.get("prior") if type(values) is dict else None
        if space is None or not isinstance(told, dict):
            return validate(values)
        found = _by_knob(told, space.space(), "prior")
        if several := [knob for knob, options in found.items() if len(options) > 1]:
            raise ValueError(f"prior.{several[0]} = {list(found[several[0]])}; expected one option")
        return validate({**values, "prior": {knob: options[0] for knob, options in found.items()}})

    @field_validator("objectives")
    @classmethod
    def _dice_and_a_cost(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        check_objectives(objectives)
        if "dice" not in objectives or len(set(objectives)) < max(2, len(objectives)):
            raise ValueError("expected dice and at least one cost, each once")
        return objectives

    @model_validator(mode="before")
    @classmethod
    def _latency_on_each_device(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return on_each_device(values, cls.model_fields["objectives"].default)

    @model_validator(mode="after")
    def _devices_are_known(self) -> Self:
        check_devices("objectives", self.objectives, self.latency.devices)
        check_devices("budget", self.budget.limits(), self.latency.devices)
        return self

    @model_validator(mode="after")
    def _weights_can_be_shared(self) -> Self:
        if self.search.strategy == "supernet" and self.space.name != SPACE:
            raise ValueError(
                f"search.strategy: networks of the space {SPACE} share weights, and space.name is "
                f"{self.space.name}; expected {SPACE}, or search.strategy=train"
            )
        for key, none in (("deep_supervision", False), ("layer_decay", 1.0)):
            if self.search.strategy == "supernet" and (found := getattr(self.train, key)) != none:
                raise ValueError(
                    f"train.{key} = {found}: a supernet cannot be trained so; expected {none}, or "
                    "search.strategy=train"
                )
        return self

    def of_candidates(self) -> RunConfig:
        """The same as candidates are trained: where they are fine-tuned, `train` and the rungs of
        early stopping are shorter, brackets that have none then are left out, and the epochs of
        the whole search stay what they are."""
        search, train = self.search, self.train
        if not search.inherits:
            return self
        epochs = search.supernet.candidate_epochs
        short = train.model_copy(update={"epochs": epochs(train.epochs)})
        early = search.early_stopping
        if early:
            grace = early.grace and epochs(early.grace)
            early = early.model_copy(update={"grace": grace}).fewer(short)
        told = {"early_stopping": early, "epochs": search.all_epochs(train.epochs)}
        return self.model_copy(update={"train": short, "search": search.model_copy(update=told)})

    @property
    def short_retraining(self) -> str | None:
        """That `retrain` makes fewer steps than candidates may make; None where it does not."""
        train = self.of_candidates().train
        few, many = (one.epochs * one.steps_per_epoch for one in (self.retrain, train))
        if few >= many:
            return None
        return (
            f"a retraining makes {few:,} steps ({self.retrain.epochs} epochs), and a network of "
            f"the search up to {many:,} ({train.epochs} epochs)"
        )

    @property
    def needs_latency(self) -> bool:
        """Whether candidates are measured before they are trained."""
        return any(is_latency(name) for name in (*self.objectives, *self.budget.limits()))
