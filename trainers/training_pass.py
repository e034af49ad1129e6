"""From patches to the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import nn

from trainers.narrow_weights import forward_narrow
from trainers.volumes.targets import Targets


class TrainingPass(nn.Module):
    """The network's loss over one batch; one module, so that its gradients can be averaged.

    images: (B, C, *patch), labels: (B, 1, *patch) -> scalar. `terms` change the loss of the logits,
    one after the other: (loss, images, logits (B, C_cls, *patch), labels) -> scalar. What a
    network offers as `auxiliary_losses` is added at last; it is told labels as `targets` has them,
    see `Targets.told`. `autocast()` is the context in which the network computes; the losses are
    outside of it.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        terms: Sequence[nn.Module],
        autocast: Callable[[], AbstractContextManager[object]],
        targets: Targets | None = None,
    ) -> None:
        super().__init__()
        self.targets = targets
        self.network, self.loss = network, loss
        self.terms = nn.ModuleList(terms)
        self.autocast = autocast

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with self.autocast():
            logits = forward_narrow(self.network, images)
        loss = self._supervised(images, logits.float(), labels)
        if extra := getattr(self.network, "auxiliary_losses", None):
            told = labels if self.targets is None else self.targets.told(labels)
            loss = loss + sum(extra(told).values())
        return loss

    def _supervised(
        self, images: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        loss: torch.Tensor = self.loss(logits, labels)
        for term in self.terms:
            loss = term(loss, images, logits, labels)
        return loss
