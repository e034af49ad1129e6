"""How a network is trained: the recipe, and nothing about which network."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainers.strict import Strict

Positive = Annotated[int, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]

# Of TrainConfig: how a step is run. They change results by rounding alone.
EXECUTION_KEYS = {"deterministic", "graphs"}
# Of TrainConfig: searches that do not record them trained without.
REFINEMENT_KEYS = {"ema", "deep_supervision"}


class Augment(Strict):
    """Random changes of a training patch.

    `shift`: voxels a volume smaller than the patch may be off centre. `scale` and `offset`: the
    patch becomes `x * U(1 - scale, 1 + scale) + U(-offset, offset)`. `noise`: standard deviation.
    `flips`: spatial axes mirrored half of the time.
    """

    shift: Annotated[int, Field(ge=0)] = 2
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    offset: Annotated[float, Field(ge=0)] = 0.1
    noise: Annotated[float, Field(ge=0)] = 0.0
    flips: tuple[Literal[0, 1, 2], ...] = ()


class LossConfig(Strict):
    """What is minimised: the weights of three terms.

    `boundary`: of the binary cross-entropy within `boundary_reach` voxels of the voxels that touch
    another class. `class_weights`: `inverse` weighs all terms by the inverse frequency of the
    batch's classes. The published LightMedSeg has `boundary: 0.5` and `class_weights: inverse`.
    """

    dice: Weight = 1.0
    cross_entropy: Weight = 1.0
    boundary: Weight = 0.0
    boundary_reach: Positive = 3
    class_weights: Literal["none", "inverse"] = "none"

    @model_validator(mode="after")
    def _something_to_minimise(self) -> Self:
        if not (self.dice or self.cross_entropy or self.boundary):
            raise ValueError("dice, cross_entropy and boundary are all 0; one must be above it")
        return self


class TrainConfig(Strict):
    """The training recipe. One epoch is `steps_per_epoch` optimiser steps.

    `foreground`: share of patches centred on a labelled voxel. `warmup`: share of all steps with a
    rising learning rate, before a cosine to zero. `validate_every`: epochs between validations (the
    last epoch always validates). `precision`: `auto` is bf16 on CUDA and fp32 elsewhere.
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
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
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

    def precision_on(self, device: str) -> Literal["fp32", "bf16", "fp16"]:
        """The number format of passes on a device of that type, `cpu` or `cuda`."""
        if self.precision == "auto":
            return "bf16" if device == "cuda" else "fp32"
        return self.precision


class DistillationConfig(Strict):
    """Learning from a teacher: its share of the loss, and the temperature of the softmaxes."""

    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 2.0


class RetrainConfig(TrainConfig):
    """Training a chosen network for good.

    `all_cases`: train on the validation cases as well, which leaves none to validate on; the test
    cases are never used. `mirror`: axes along which the trained network also segments the mirrored
    image, to average the logits; each one doubles the time. `distillation`: how a teacher is
    learned from, where there is one. `deep_supervision` needs a network that offers stages.
    """

    all_cases: bool = False
    mirror: tuple[Literal[0, 1, 2], ...] = ()
    distillation: DistillationConfig = DistillationConfig()

    @model_validator(mode="after")
    def _mirror_is_trained(self) -> Self:
        if unseen := set(self.mirror) - set(self.augment.flips):
            raise ValueError(
                f"mirror has axis {min(unseen)}, augment.flips has {list(self.augment.flips)}; a "
                "network knows mirrored images only where it was trained on them: add it there"
            )
        return self
