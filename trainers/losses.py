"""The training loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    max_pool3d,
)

from trainers.config import DiceForm, LossConfig
from trainers.volumes.targets import Targets

SMOOTH = 1e-5  # so that a class that is neither there nor predicted has a Dice of 1


def segmentation_loss(
    config: LossConfig | None = None, targets: Targets | None = None
) -> nn.Module:
    """The loss of that configuration; by default Dice plus cross-entropy, all classes alike.

    Called with logits (B, C_cls, D, H, W) and labels (B, 1, D, H, W). Dice is of the whole batch,
    over the foreground classes; cross-entropy is over all of them. `targets`: what the logits stand
    for, where that is more than classes that exclude each other (`TargetLoss`).
    """
    config = config or LossConfig()
    if targets is not None and not targets.plain:
        return TargetLoss(config, targets)
    if config == LossConfig(dice_form=config.dice_form):
        return DiceCELoss(config.dice_form)
    return WeightedLoss(config)


class DiceLoss(nn.Module):
    """The Dice term of the foreground classes, each over the whole batch.

    logits: (B, C_cls, D, H, W), labels: (B, 1, D, H, W) -> scalar. In the linear form it is
    operation for operation MONAI's
    `DiceLoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)`, whose import
    takes as long as that of torch.
    """

    def __init__(self, form: DiceForm = "linear") -> None:
        super().__init__()
        self.form: DiceForm = form

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        predicted, truth = logits.softmax(1)[:, 1:], one_hot(labels, logits.shape[1])[:, 1:]
        return dice_loss(predicted, truth, self.form)


class DiceCELoss(DiceLoss):
    """`DiceLoss` plus the cross-entropy of all classes; on a GPU by `dice_cross_entropy`."""

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if logits.is_cuda:
            return dice_cross_entropy(logits, labels, self.form)
        dice, entropy = super().forward(logits, labels), cross_entropy(logits, labels[:, 0].long())
        # By MONAI's weights, so that the memory of a step is that of studies of before to the byte.
        return 1.0 * dice + 1.0 * entropy


def dice_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, form: DiceForm = "linear"
) -> torch.Tensor:
    """What `DiceCELoss` is, but for rounding, of logits that are read once.

    logits: (B, C_cls, D, H, W), labels: (B, 1, D, H, W) -> scalar. With the backward pass these
    are 38 operations on tensors, where MONAI's are 54.
    """
    index = labels.long()
    logs = logits.log_softmax(1)
    foreground = torch.arange(1, logits.shape[1], device=logits.device).view(-1, 1, 1, 1)
    predicted, true = logs.exp()[:, 1:], index == foreground  # (B, C_cls - 1, D, H, W)
    everywhere = (0, 2, 3, 4)
    overlap, size = (predicted * true).sum(everywhere), true.sum(everywhere)
    dice = (2 * overlap + SMOOTH) / (predicted.sum(everywhere) + size + SMOOTH)
    term = 1 - dice.mean() if form == "linear" else log_dice(dice, size)
    return term - logs.gather(1, index).mean()


class WeightedLoss(nn.Module):
    """`dice`, `cross_entropy` and `boundary` times their terms (LightMedSeg, Eq. 22).

    logits: (B, C_cls, D, H, W), labels: (B, 1, D, H, W) -> scalar.

    With `class_weights: inverse` class c weighs `voxels / (C_cls * voxels of c)`, counted in the
    batch at hand, as the paper's w_c is over the voxels of the target. Dice is then the generalised
    one (Sudre 2017), background included, which is what these weights make of it; MONAI's gives a
    class that is not there the largest weight of the others. In cross-entropy a voxel weighs as its
    class does; for the boundary see `boundary_loss`.
    """

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        self.config = config
        self.inverse = config.class_weights == "inverse"
        self.dice: nn.Module = _generalised_dice() if self.inverse else DiceLoss(config.dice_form)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        config, labels = self.config, labels.long()
        weights = inverse_frequencies(labels, logits.shape[1]) if self.inverse else None
        loss = logits.new_zeros(())
        if config.dice:
            loss = loss + config.dice * self.dice(logits, labels)
        if config.cross_entropy:
            loss = loss + config.cross_entropy * cross_entropy(logits, labels[:, 0], weights)
        if config.boundary:
            region = boundary_region(labels, config.boundary_reach)
            loss = loss + config.boundary * boundary_loss(logits, labels, region, weights)
        return loss


class TargetLoss(nn.Module):
    """`WeightedLoss` of regions, which overlap, and of labels with voxels that are to be ignored.

    logits: (B, C, D, H, W), labels: (B, 1, D, H, W) -> scalar; the gradient of an ignored voxel's
    logits is 0. Sums and means are over the voxels that count, 0 where none does. With regions
    probabilities are sigmoids, Dice is over all of them, and cross-entropy is the binary one, its
    mean over regions and voxels (nnU-Net's `DC_and_BCE_loss`). With `class_weights: inverse` a
    region weighs by its own share of the voxels, and 1 where the batch has none of it.
    """

    def __init__(self, config: LossConfig, targets: Targets) -> None:
        super().__init__()
        self.config, self.targets = config, targets
        self.inverse = config.class_weights == "inverse"
        self.dice: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = self._plain_dice
        if self.inverse:
            self.dice = _generalised_dice(of_logits=False)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        config, targets = self.config, self.targets
        inside = targets.counted(labels)
        counted = inside.to(logits)  # (B, 1, D, H, W)
        truth = targets.truth(labels).to(logits)  # (B, C, D, H, W), 0 in what is ignored
        weights = self._weights(truth, counted)
        predicted, loss = targets.probabilities(logits), logits.new_zeros(())
        if config.dice:
            loss = loss + config.dice * self.dice(predicted * counted, truth)
        if config.cross_entropy:
            entropy = self._cross_entropy(logits, truth, counted, weights)
            loss = loss + config.cross_entropy * entropy
        if config.boundary:
            near = boundary_region(labels, config.boundary_reach, inside) & inside
            loss = loss + config.boundary * binary_loss(predicted, truth, near, weights)
        return loss

    def _weights(self, truth: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
        """Of each channel: (C,)."""
        if not self.inverse:
            return truth.new_ones(truth.shape[1])
        sizes = truth.sum((0, 2, 3, 4))
        inverse = counted.sum() / (len(sizes) * sizes.clamp(min=1))
        return torch.where(sizes > 0, inverse, float(bool(self.targets.regions)))

    def _plain_dice(self, predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        first = self.targets.first_scored
        return dice_loss(predicted[:, first:], truth[:, first:], self.config.dice_form)

    def _cross_entropy(
        self,
        logits: torch.Tensor,
        truth: torch.Tensor,
        counted: torch.Tensor,
        weights: torch.Tensor,
    ) -> torch.Tensor:
        """A mean in which a voxel weighs as its class does, and in all voxels as their region."""
        weights = weights.view(-1, 1, 1, 1)
        if self.targets.regions:
            each = binary_cross_entropy_with_logits(logits, truth, reduction="none") * counted
            all_weights = (counted * weights).sum()
        else:
            each = -truth * logits.log_softmax(1)
            all_weights = (truth * weights).sum()
        return (each * weights).sum() / all_weights.clamp(min=SMOOTH)


def dice_loss(
    predicted: torch.Tensor, truth: torch.Tensor, form: DiceForm = "linear"
) -> torch.Tensor:
    """One minus the soft Dice of each channel, over the whole batch, their mean; or `log_dice`.

    predicted: probabilities, truth: 0 and 1, both (B, C, *S) -> scalar.
    """
    voxels = (0, *range(2, predicted.dim()))
    both = (predicted * truth).sum(voxels)
    only_predicted = 0.5 * (predicted.sum(voxels) - both)
    only_truth = 0.5 * (truth.sum(voxels) - both)
    total = 2 * (both + only_predicted + only_truth)
    dice = (2 * both + SMOOTH) / (total + SMOOTH)
    return (1 - dice).mean() if form == "linear" else log_dice(dice, truth.sum(voxels))


def log_dice(dice: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """The mean of -ln Dice over the channels (Wong 2018, arXiv 1809.00076, gamma 1).

    dice, sizes: of each channel and its truth, (C,) -> scalar. The gradient of 1 - Dice fades
    with the probabilities of a class that is not found yet; here the division by Dice makes up for
    it. A channel whose truth is empty counts 1 - Dice: the logarithm would chase its last voxels.
    """
    return torch.where(sizes > 0, -dice.log(), 1 - dice).mean()


def one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """labels: (B, 1, *S) of any integer type -> (B, classes, *S) float32."""
    shape = (len(labels), classes, *labels.shape[2:])
    return torch.zeros(shape, device=labels.device).scatter_(1, labels.long(), 1)


def inverse_frequencies(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """`voxels / (classes * voxels of c)` for every class c (LightMedSeg, Sec. 3.7).

    labels: integers, any shape -> (classes,), 0 for a class without voxels.
    """
    counts = torch.stack([(labels == c).sum() for c in range(classes)])
    weights = labels.numel() / (classes * counts.clamp(min=1))
    return weights * (counts > 0)


def boundary_region(
    labels: torch.Tensor, reach: int, counted: torch.Tensor | None = None
) -> torch.Tensor:
    """Voxels next to one of another class, dilated by `reach` voxels along every axis and diagonal.

    labels: (B, 1, D, H, W) -> bool, the same shape. counted: of that shape, the voxels that have a
    class; by default all.
    """
    values = labels.float()
    high, low = values, -values
    if counted is not None:
        high, low = (one.masked_fill(~counted, -torch.inf) for one in (high, low))
    highest, lowest = _maximum(high, 1), -_maximum(low, 1)
    edges = highest > lowest  # where no class is near, the lowest is infinite
    if counted is not None:
        edges = edges & counted
    return _maximum(edges.float(), reach) > 0


def boundary_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    region: torch.Tensor,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Binary cross-entropy of every class's probability, the mean over classes and `region`.

    logits: (B, C_cls, D, H, W); labels, region: (B, 1, D, H, W); weights: (C_cls,) -> scalar, 0
    where the region is empty. Weights make the mean over classes a weighted one: w_c belongs to a
    class's whole binary term, at voxels that are of the class and at those that are not, so that
    it draws no border outwards (LightMedSeg, Sec. 3.7).
    """
    truth = one_hot(labels, logits.shape[1]).to(logits)
    if weights is None:
        weights = logits.new_ones(logits.shape[1])
    return binary_loss(logits.softmax(1), truth, region, weights)


def binary_loss(
    predicted: torch.Tensor, truth: torch.Tensor, region: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """`boundary_loss` of probabilities and truth (B, C, D, H, W)."""
    each = binary_cross_entropy(predicted, truth, reduction="none")
    shares = (weights / weights.sum().clamp(min=SMOOTH)).view(1, -1, 1, 1, 1)
    inside = region.to(predicted)
    return (each * shares * inside).sum() / inside.sum().clamp(min=1)


def _generalised_dice(of_logits: bool = True) -> nn.Module:
    from monai.losses import GeneralizedDiceLoss

    return GeneralizedDiceLoss(
        softmax=of_logits, to_onehot_y=of_logits, w_type="simple", batch=True
    )


def _maximum(values: torch.Tensor, reach: int) -> torch.Tensor:
    """Over the cube of `2 * reach + 1` voxels around each, axis by axis."""
    width = 2 * reach + 1
    for kernel in ((width, 1, 1), (1, width, 1), (1, 1, width)):
        values = max_pool3d(values, kernel, 1, [k // 2 for k in kernel])
    return values
