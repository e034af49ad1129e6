"""A transformer layer whose two halves can be left out (SlimFormer-3D, Eq. 1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

Gate = Literal["both", "mixer", "mlp", "none"]


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani 2017). z: (B, N, C) -> (B, N, C)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} heads")
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(z).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v)  # (B, heads, N, C / heads)
        return self.project(mixed.transpose(1, 2).flatten(2))


class GatedLayer(nn.Module):
    """`z + mixer(LN(z))`, then `z + MLP(LN(z))`, each only where the gate keeps it.

    z: (B, N, C) -> (B, N, C). A part that is gated off has no parameters and does no work; `none`
    is the identity.
    """

    def __init__(self, channels: int, heads: int, gate: Gate = "both", mlp_ratio: int = 2) -> None:
        super().__init__()
        self.mixer = (
            nn.Sequential(nn.LayerNorm(channels), Attention(channels, heads))
            if gate in ("both", "mixer")
            else None
        )
        hidden = mlp_ratio * channels
        self.mlp = (
            nn.Sequential(
                nn.LayerNorm(channels),
                nn.Linear(channels, hidden),
                nn.GELU(),
                nn.Linear(hidden, channels),
            )
            if gate in ("both", "mlp")
            else None
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        if self.mixer is not None:
            z = z + self.mixer(z)
        if self.mlp is not None:
            z = z + self.mlp(z)
        return z
