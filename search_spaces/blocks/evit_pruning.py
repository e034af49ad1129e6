"""Pruning by the class token's attention (EViT; Liang 2022, Sec. 3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.token_pruning import (
    Pruned,
    checked_ratio,
    keep_highest,
    pruned_otherwise,
)


class AttentiveTopK(nn.Module):
    """Keeps the int((1 - ratio) N) tokens, at least one, that the class token attends to most.

    z: (B, N, C) without the class token, `attention`: (B, N) as `class_attention` gives it ->
    Pruned. It has no parameters, and training and inference are the same. EViT's one token fused
    from the dropped ones is left out: here they come back themselves where tokens are completed.
    """

    def __init__(self, ratio: float) -> None:
        super().__init__()
        self.ratio = checked_ratio(ratio)

    def forward(self, z: torch.Tensor, attention: torch.Tensor) -> Pruned:
        return keep_highest(z, attention, self.ratio)

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""
        return pruned_otherwise(self.ratio)


@torch.no_grad()
def class_attention(attention: Attention, z: torch.Tensor) -> torch.Tensor:
    """The first token's attention to all others in `attention`, the mean over the heads.

    z: (B, 1 + N, C), the attention's input -> (B, N). Only the keys and one query are computed.
    """
    *inner, last = _layers(attention)
    for layer in inner:
        z = layer(z)
    weight, bias = last.weight.chunk(3), last.bias.chunk(3)
    q = nn.functional.linear(z[:, :1], weight[0], bias[0])
    k = nn.functional.linear(z, weight[1], bias[1])
    q, k = (t.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for t in (q, k))
    scores = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5  # (B, heads, 1, 1 + N)
    return scores.softmax(-1).mean(1)[:, 0, 1:]


def class_attention_macs(attention: Attention, tokens: int) -> int:
    """Of `class_attention` for an image of so many tokens, the class token among them: all keys,
    one query and its product with them, beside the layers that are called."""
    width = attention.heads * attention.head_width
    features: int = _layers(attention)[-1].in_features
    return (tokens + 1) * features * width + tokens * width


def _layers(attention: Attention) -> list[Any]:
    """The projection to queries, keys and values: one layer, or the factors of low rank."""
    qkv: nn.Module = attention.qkv
    return [qkv] if isinstance(qkv, nn.Linear) else [*qkv.children()]
