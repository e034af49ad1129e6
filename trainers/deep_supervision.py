"""Losses on the coarser stages of a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate

from trainers.errors import UserError
from trainers.offers import decoder_stages


def deep_supervision(network: nn.Module, classes: int, loss: nn.Module) -> list[nn.Module]:
    """The term of the loss, or none for a network that has no coarser stages."""
    return [DeepSupervision(network, classes, loss)] if decoder_stages(network) else []


class DeepSupervision(nn.Module):
    """A term of the loss: a head of 1^3 convolution on every coarser stage of the decoder.

    The loss of stage i, counted from the finest coarse one, weighs 1 / 2^i against that of the
    logits, and the weights are scaled to the sum 1 (nnU-Net, Isensee 2021). Labels are reduced to
    the stage's size by nearest neighbour. The heads are no part of the network, whose
    `decoder_stages` they look at in training passes only. Raises UserError where it offers none.
    """

    def __init__(self, network: nn.Module, classes: int, loss: nn.Module) -> None:
        super().__init__()
        stages = decoder_stages(network)
        if not stages:
            raise UserError(
                f"train.deep_supervision: {type(network).__name__} has no decoder stages coarser "
                "than its logits to supervise; set train.deep_supervision=false"
            )
        device = next(network.parameters()).device
        self.heads = nn.ModuleList(nn.Conv3d(width, classes, 1) for _, width in stages).to(device)
        self.loss = loss
        shares = [0.5**i for i in range(len(stages) + 1)]
        self.shares = [share / sum(shares) for share in shares]
        self._seen: list[torch.Tensor | None] = [None] * len(stages)
        for place, (stage, _) in enumerate(stages):
            stage.register_forward_hook(partial(_note, self._seen, place))

    def forward(
        self, loss: torch.Tensor, images: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        total = self.shares[0] * loss
        for place, head in enumerate(self.heads):
            features, self._seen[place] = self._seen[place], None
            assert features is not None, "a decoder stage was not passed"
            coarse = head(features.float())
            total = total + self.shares[place + 1] * self.loss(coarse, reduced(labels, coarse))
        return total


def reduced(labels: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """labels: (B, 1, *S) of integers -> (B, 1, *like's S), by nearest neighbour."""
    small = interpolate(labels.float(), like.shape[2:], mode="nearest-exact")
    return small.to(labels.dtype)


def _note(
    seen: list[torch.Tensor | None],
    place: int,
    stage: nn.Module,
    inputs: Sequence[Any],
    output: torch.Tensor,
) -> None:
    """Keep what a stage gives in training. Validation passes, and copies of the network that only
    validate, keep nothing."""
    if stage.training:
        seen[place] = output
