"""Pruning by one decision a token (DynamicViT; Rao 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import gumbel_softmax, logsigmoid

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.blocks.token_pruning import (
    Pruned,
    checked_ratio,
    keep_highest,
    pruned_otherwise,
)
from search_spaces.blocks.token_scores import TokenScores

RATIO_WEIGHT = 2.0  # Rao 2021, Sec. 4; Zhou 2023, Sec. 3.3


class DynamicPruning(nn.Module):
    """Training draws for every token whether it stays; inference keeps the likeliest ones.

    In training, `decide` gives 1 (keep) or 0 (drop) for each token. All stay in memory,
    `attend_kept` hides the dropped ones, and `ratio_loss` pulls their share to `ratio`. The forward
    pass is that of inference, z (B, N, C) -> Pruned, and keeps int((1 - ratio) N) tokens.
    """

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        self.ratio = checked_ratio(ratio)
        self.scores = TokenScores(channels)

    def forward(self, z: torch.Tensor) -> Pruned:
        return keep_highest(z, self.scores(z), self.ratio)

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""
        return pruned_otherwise(self.ratio)

    def decide(self, z: torch.Tensor, alive: torch.Tensor) -> torch.Tensor:
        """Which of the tokens `alive` (B, N) stay so: (B, N) of 0 and 1 (Sec. 3.2).

        The gradient is that of the two-way Gumbel softmax, straight through, in single precision:
        in half of it a draw may be rounded to 0, whose noise is infinite.
        """
        logits = self.scores(z, alive)
        two_ways = torch.stack([logsigmoid(-logits), logsigmoid(logits)], dim=-1).float()
        return alive * gumbel_softmax(two_ways, hard=True)[..., 1]


def attend_kept(layer: GatedLayer, z: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """`layer` on z (B, N, C) with each token seeing itself and those `kept` (B, N) (Sec. 3.3).

    Gradients reach the decisions through the softmax. N^2 attention weights are kept in memory.
    """
    if layer.mixer is not None and layer.mixer_norm is not None:
        assert isinstance(layer.mixer, Attention)
        z = z + _masked_attention(layer.mixer, layer.mixer_norm(z), kept)
    if layer.mlp is not None and layer.mlp_norm is not None:
        z = z + layer.mlp(layer.mlp_norm(z))
    return z


def _masked_attention(attention: Attention, z: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    q, k, v = attention.qkv(z).unflatten(-1, (3, attention.heads, -1)).permute(2, 0, 3, 1, 4)
    scores = (q @ k.transpose(2, 3)).float() * q.shape[-1] ** -0.5
    itself = torch.eye(z.shape[1], device=z.device)
    seen = kept.float()[:, None, None, :] * (1 - itself) + itself  # (B, 1, N, N)
    weights = (scores - scores.detach().amax(-1, keepdim=True)).exp() * seen
    tiny = 1e-6  # where a row's largest score is hidden, the others may be nothing beside it
    mixed = weights.to(v.dtype) @ v + tiny * v.mean(2, keepdim=True)
    mixed = mixed / (weights.sum(-1, keepdim=True) + tiny).to(v.dtype)
    return attention.project(mixed.transpose(1, 2).flatten(2))


def ratio_loss(kept: Sequence[torch.Tensor], ratio: float) -> torch.Tensor:
    """Squared distance of the share kept from (1 - ratio)^s after place s, the mean over places
    and cases (Sec. 3.4). `kept`: one (B, N) of 0 and 1 a place, in order."""
    share = torch.stack([k.float().mean(1) for k in kept])  # (S, B)
    places = torch.arange(1, len(kept) + 1, device=share.device)
    return (share - ((1 - ratio) ** places)[:, None]).square().mean()
