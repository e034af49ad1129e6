"""Learning rates in closed form: of a step, and of the layers."""

from __future__ import annotations

import math

from torch import nn

from trainers.config import TrainConfig
from trainers.errors import UserError
from trainers.offers import encoder_stages

POWER = 0.9  # of nnU-Net's poly schedule (Isensee 2021)


def learning_rate(config: TrainConfig, step: int) -> float:
    """That of a step, counted from 0: a linear rise for the share `warmup`, then the schedule.

    They are the rates of torch's LinearLR from `1 / (rise + 1)`, then of its CosineAnnealingLR,
    ConstantLR or PolynomialLR, with a step of theirs for each step of the optimiser.
    """
    highest, schedule = config.learning_rate, config.schedule
    total = config.epochs * config.steps_per_epoch
    rise = config.warmup * total
    if step < rise:
        return highest * ((step + 1) / (rise + 1))
    done, left = step - rise, max(total - rise, 1)
    if schedule.kind == "constant":
        return highest
    if schedule.kind == "poly":
        return highest * (1 - done / left) ** POWER
    half = left if schedule.t_max is None else schedule.t_max * config.steps_per_epoch
    lowest = schedule.minimum
    return lowest + (highest - lowest) * (0.5 * (1 + math.cos(math.pi * done / half)))


def layer_scales(network: nn.Module, decay: float) -> dict[nn.Parameter, float]:
    """What the learning rate of a parameter is multiplied by; 1 for those that are not named.

    The last stage of the encoder has `decay`, the one before it `decay ** 2`, and so on to the
    input; everything else counts as behind the encoder (layer-wise decay of BEiT, Bao 2021, and
    MAE, He 2021, where the stages are the embedding of patches and the transformer's blocks).

    Raises UserError where the network does not offer its `encoder_stages`, unless `decay` is 1.
    """
    if decay == 1:
        return {}
    stages = encoder_stages(network)
    if not stages:
        raise UserError(
            f"train.layer_decay = {decay:g}: {type(network).__name__} does not offer the stages of "
            "its encoder (encoder_stages), by which rates decay; set train.layer_decay=1"
        )
    scales: dict[nn.Parameter, float] = {}
    for before_last, stage in enumerate(reversed(stages), start=1):
        for part in stage:
            parameters = [part] if isinstance(part, nn.Parameter) else part.parameters()
            scales |= dict.fromkeys(parameters, decay**before_last)
    return scales
