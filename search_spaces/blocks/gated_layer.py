"""A transformer layer whose two halves can be left out (SlimFormer-3D, Eq. 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.mlp import MLP

Gate = Literal["both", "mixer", "mlp", "none"]


class GatedLayer(nn.Module):
    """`z + mixer(LN(z))`, then `z + mlp(LN(z))`, each only where there is one.

    z: (B, N, C) -> (B, N, C). The mixer is called as `mixer(z, size)`, where `size` is the grid
    that the N tokens fill in row-major order, or None where they are no longer a grid. A part that
    is None has no parameters and does no work; without both the layer is the identity.

    `kv`: (B, N, kv_width), keys and values made elsewhere (Brandon 2024, Sec. 3). The mixer finds
    them behind the channels of the normalised tokens, so that windows take both alike.
    """

    def __init__(self, channels: int, mixer: nn.Module | None, mlp: nn.Module | None) -> None:
        super().__init__()
        self.mixer_norm = None if mixer is None else nn.LayerNorm(channels)
        self.mixer = mixer
        self.mlp_norm = None if mlp is None else nn.LayerNorm(channels)
        self.mlp = mlp

    def forward(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        kv: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if self.mixer is not None and self.mixer_norm is not None:
            y = self.mixer_norm(z)
            z = z + self.mixer(y if kv is None else torch.cat([y, kv], dim=-1), size)
        if self.mlp is not None and self.mlp_norm is not None:
            z = z + self.mlp(self.mlp_norm(z))
        return z


def transformer_layer(channels: int, heads: int, mlp_ratio: int) -> GatedLayer:
    """Attention to all tokens, and an MLP that is `mlp_ratio` times as wide as they are."""
    return GatedLayer(channels, Attention(channels, heads), MLP(channels, mlp_ratio * channels))


def gated_layer(
    channels: int, gate: Gate, mixer: Callable[[], nn.Module], mlp: Callable[[], nn.Module]
) -> GatedLayer:
    """The layer with the parts that the gate keeps; the others are never made."""
    return GatedLayer(
        channels,
        mixer() if gate in ("both", "mixer") else None,
        mlp() if gate in ("both", "mlp") else None,
    )
