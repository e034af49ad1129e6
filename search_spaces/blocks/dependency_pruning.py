"""Dependency pruning: a query looks away from what matters little to it (APFormer, Sec. III-C)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from search_spaces.blocks.attention import ATTENTION, RECEIVED
from search_spaces.blocks.exporting import exporting

START = -2.0  # of g: at first a threshold is at most sigmoid(-2) = 12% up the row's range
ROUNDS = 400  # of the paper's schedule (Sec. IV-B), of which `frozen_rounds` are counted
SHARPNESS = 10.0
DEPENDENCY_PRUNING = "dependency pruning"  # the mechanism; see `search_spaces.offers`


class DependencyPruning(nn.Module):
    """Attention weights in which every query keeps what reaches its own threshold.

    The threshold lies between the row's least and largest weight (Eq. 13), at the share
    sigmoid(W_t q) sigmoid(g). `g` starts at -2 and is trained once `frozen_rounds` of the paper's
    400 epochs are over, the same share of a schedule of any length: `begin_training` tells its
    epochs, `begin_epoch` those that are trained. A mask has no gradient, and the paper names none;
    it gets that of a sigmoid around the threshold (straight through, Bengio 2013), or W_t and g
    would never learn.
    """

    def __init__(self, head_channels: int, frozen_rounds: int = 100) -> None:
        super().__init__()
        self._frozen_rounds, self._epochs = frozen_rounds, ROUNDS
        self.threshold = nn.Linear(head_channels, 1, bias=False)
        self.g = nn.Parameter(torch.tensor(START), requires_grad=frozen_rounds == 0)
        self._pruned: torch.Tensor | int = 0
        self._seen: torch.Tensor | int = 0

    def begin_training(self, epochs: int) -> None:
        """Called by a trainer before the first epoch of so many."""
        self._epochs = epochs

    def begin_epoch(self, epoch: int) -> None:
        """Called by a trainer before the epoch that follows `epoch` trained ones."""
        self.g.requires_grad_(epoch * ROUNDS >= self._frozen_rounds * self._epochs)

    def forward(
        self, scores: torch.Tensor, q: torch.Tensor, valid: torch.Tensor | None = None
    ) -> torch.Tensor:
        """scores: (B, heads, K, N) before the softmax, q: (B, heads, K, C) -> weights like scores.

        `valid`: (B, K), False for queries that only fill a batch up.
        """
        scores = scores.float()  # also under autocast
        powers = torch.exp(scores - scores.detach().amax(-1, keepdim=True))
        share = torch.sigmoid(self.threshold(q)) * torch.sigmoid(self.g)  # (B, heads, K, 1)
        # Whether a weight reaches the threshold is the same before and after a row's division by
        # its sum, which so is done once, in Eq. 14.
        fixed = powers.detach()
        hard = fixed >= row_thresholds(fixed, share)
        if not self.training:
            self._count(hard, valid)
            return masked_weights(powers, hard)
        low = fixed.amin(-1, keepdim=True)  # the largest is 1
        height = (fixed - low) / (1 - low).clamp_min(1e-12)
        soft = torch.sigmoid(SHARPNESS * (height - share))
        return masked_weights(powers, hard + (soft - soft.detach()))

    def pruned_and_seen(self) -> tuple[float, float]:
        """Dependencies pruned, of how many, over the eval passes since the last call."""
        counts = float(self._pruned), float(self._seen)
        self._pruned = self._seen = 0
        return counts

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`. Of every patch: the share of the heads' queries that look at
        it, and how much they do, 1 on average."""
        asking = output.new_ones(output[:, 0, :, 0].shape)  # (B, K)
        if len(inputs) > 2 and inputs[2] is not None:
            asking = inputs[2].to(output.dtype)
        share = asking / (output.shape[1] * asking.sum(1, keepdim=True).clamp(min=1))
        kept, weight = (
            torch.einsum("bhkn,bk->bn", t, share) for t in ((output > 0).to(output.dtype), output)
        )
        return {
            DEPENDENCY_PRUNING: {"share that looks": kept},
            ATTENTION: {RECEIVED: weight * output.shape[-1]},
        }

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def all_kept(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            return inputs[0].float().softmax(-1).to(output.dtype)

        return {DEPENDENCY_PRUNING: {"nothing pruned": all_kept}}

    def _count(self, kept: torch.Tensor, valid: torch.Tensor | None) -> None:
        if kept.is_meta or exporting() or torch.compiler.is_compiling():
            return  # no values to count, or a compilation for every count
        rows = (~kept).sum((1, 3))  # (B, K)
        each = kept.shape[1] * kept.shape[3]
        counted = torch.ones_like(rows, dtype=torch.bool) if valid is None else valid
        self._pruned = self._pruned + (rows * counted).sum()
        self._seen = self._seen + each * counted.sum()


def row_thresholds(attention: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Eq. 13: `min + share * (max - min)` of every row. (..., K, N), (..., K, 1) -> (..., K, 1)"""
    low, high = attention.amin(-1, keepdim=True), attention.amax(-1, keepdim=True)
    return low + share * (high - low)


def masked_weights(powers: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Eq. 14, in the form of DynamicViT (Rao 2021): `M e^s / (1e-6 + sum M e^s)`, the last axis.

    powers: (..., N), e^s for a row's scores s, up to a factor. The exponents are the scores, not,
    as Eq. 14 can be read, their softmax: with weights between 0 and 1 in their place all that is
    kept would count nearly the same.
    """
    weights = mask * powers
    return weights / (1e-6 + weights.sum(-1, keepdim=True))
