"""How a network is trained: the recipe, and nothing about which network."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trainers.augment.config import Augment
from trainers.strict import Strict, left_out_at

Positive = Annotated[int, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
DiceForm = Literal["linear", "log"]

# Of TrainConfig: how a step is run. They change results by rounding alone.
EXECUTION_KEYS = {"deterministic", "graphs"}
# Of TrainConfig: searches that do not record them trained without.
REFINEMENT_KEYS = {"ema", "deep_supervision"}


class LossConfig(Strict):
    """What is minimised: the weights of three terms.

    `dice_form`: `linear`, the mean over the classes of 1 - Dice, or `log`, in which a class that
    the batch has counts -ln Dice (Wong 2018, arXiv 1809.00076, gamma 1): small structures are found
    within fewer steps. `boundary`: of the binary cross-entropy within `boundary_reach` voxels of
    the voxels that touch another class. `class_weights`: `inverse` weighs all terms by the inverse
    frequency of the batch's classes. The published LightMedSeg has `boundary: 0.5` and
    `class_weights: inverse`.
    """

    dice: Weight = 1.0
    cross_entropy: Weight = 1.0
    dice_form: DiceForm = left_out_at("linear")
    boundary: Weight = 0.0
    boundary_reach: Positive = 3
    class_weights: Literal["none", "inverse"] = "none"

    @model_validator(mode="after")
    def _something_to_minimise(self) -> Self:
        if not (self.dice or self.cross_entropy or self.boundary):
            raise ValueError("dice, cross_entropy and boundary are all 0; one must be above it")
        return self

    @model_validator(mode="after")
    def _classes_are_weighed_once(self) -> Self:
        if self.dice_form == "log" and self.class_weights != "none":
            raise ValueError(
                f"dice_form: log weighs classes itself; with class_weights: {self.class_weights} "
                "expected dice_form: linear"
            )
        return self


class Schedule(Strict):
    """How the learning rate changes after the warm-up; a word alone is its `kind`.

    `cosine`: half a cosine from `learning_rate` to `minimum` within `t_max` epochs, or within all
    that are left. After `t_max` it rises again, as torch's CosineAnnealingLR does. `constant`.
    `poly`: `learning_rate * (1 - t) ** 0.9`, t the share of the steps that is done (nnU-Net).
    """

    kind: Literal["cosine", "constant", "poly"] = "cosine"
    t_max: Positive | None = None
    minimum: Weight = 0.0

    @model_validator(mode="before")
    @classmethod
    def _word_is_a_kind(cls, values: Any) -> Any:
        return {"kind": values} if isinstance(values, str) else values

    @model_validator(mode="after")
    def _cosine_has_an_end(self) -> Self:
        if self.kind != "cosine" and (self.t_max is not None or self.minimum):
            raise ValueError(f"t_max and minimum belong to cosine; remove them from {self.kind}")
        return self


class TrainConfig(Strict):
    """The training recipe. One epoch is `steps_per_epoch` optimiser steps.

    `foreground`: share of patches centred on a labelled voxel. `optimizer`: Adam and AdamW heed
    `betas`, SGD Nesterov's `momentum`. `warmup`: share of all steps with a rising learning rate,
    before the `schedule`. `layer_decay`: what every earlier stage of the encoder multiplies its
    learning rate by (`layer_scales`); 1 for one rate. `validate_every`: epochs between validations
    (the last epoch always validates). `precision`: `auto` is bf16 on CUDA and fp32 elsewhere.
    `deterministic`: on CUDA cuDNN's reproducible algorithms and one layout; without it the faster
    ones, found by measuring. `graphs`: on CUDA a step is captured and replayed where that can be.
    `ema`: decay of an average of the weights, which is then validated and kept; 0 for none.
    `deep_supervision`: losses on the decoder's coarser stages, where the network offers any.
    """

    patch: tuple[Positive, Positive, Positive]
    epochs: Positive = 10
    steps_per_epoch: Positive = 100
    validate_every: Positive = 1
    batch: Positive = 2
    optimizer: Literal["adamw", "adam", "sgd"] = left_out_at("adamw")
    betas: tuple[Decay, Decay] = left_out_at((0.9, 0.999))
    momentum: Decay = left_out_at(0.99)
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    schedule: Schedule = left_out_at(Schedule())
    layer_decay: Annotated[float, Field(gt=0, le=1)] = left_out_at(1.0)
    clip: Annotated[float, Field(gt=0)] = 1.0
    foreground: Annotated[float, Field(ge=0, le=1)] = 0.5
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    deterministic: bool = True
    graphs: bool = True
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    deep_supervision: bool = False
    augment: Augment = Augment()
    loss: LossConfig = LossConfig()

    @model_validator(mode="after")
    def _rates_fall(self) -> Self:
        if self.schedule.minimum >= self.learning_rate:
            raise ValueError(
                f"schedule.minimum = {self.schedule.minimum:g}; expected less than learning_rate, "
                f"{self.learning_rate:g}"
            )
        return self

    def precision_on(self, device: str) -> Literal["fp32", "bf16", "fp16"]:
        """The number format of passes on a device of that type, `cpu` or `cuda`."""
        if self.precision == "auto":
            return "bf16" if device == "cuda" else "fp32"
        return self.precision

    @property
    def moments(self) -> int:
        """How many numbers the optimiser keeps for each weight from step to step."""
        return 2 if self.optimizer != "sgd" else int(self.momentum > 0)


class DistillationConfig(Strict):
    """Learning from a teacher: its share of the loss, and the temperature of the softmaxes.

    `features`: the weight, beside that loss, of a term on where the features of both lie
    (`FeatureDistillation`); 0 for none.
    """

    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 2.0
    features: Weight = left_out_at(0.0)


class RetrainConfig(TrainConfig):
    """Training a chosen network for good.

    `all_cases`: train on the validation cases as well, which leaves none to validate on; the test
    cases are never used. `mirror`: axes along which the trained network also segments the mirrored
    image, to average the logits; each one doubles the time. `distillation`: how a teacher is
    learned from, where there is one. `deep_supervision` needs a network that offers stages.
    `postprocess`: choose steps for label maps on the validation cases.
    """

    all_cases: bool = False
    mirror: tuple[Literal[0, 1, 2], ...] = ()
    distillation: DistillationConfig = DistillationConfig()
    postprocess: bool = left_out_at(True)

    @model_validator(mode="after")
    def _mirror_is_trained(self) -> Self:
        if unseen := set(self.mirror) - set(self.augment.flips):
            raise ValueError(
                f"mirror has axis {min(unseen)}, augment.flips has {list(self.augment.flips)}; a "
                "network knows mirrored images only where it was trained on them: add it there"
            )
        return self
