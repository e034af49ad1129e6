"""Transformer layers that share one projection's keys and values."""

from __future__ import annotations

import torch

from search_spaces.blocks.gated_layer import GatedLayer


class SharedKeysLayer(GatedLayer):
    """A gated layer whose mixer gets keys and values made elsewhere (Brandon 2024, Sec. 3).

    z: (B, N, C), kv: (B, N, kv_width) -> (B, N, C). The mixer is called with (B, N, C + kv_width),
    kv behind the normalised tokens, so that windows take both alike.
    """

    def forward(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        kv: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if self.mixer is not None and self.mixer_norm is not None:
            if kv is None:
                raise ValueError("this layer makes no keys and values, and was given none")
            z = z + self.mixer(torch.cat([self.mixer_norm(z), kv], dim=-1), size)
        if self.mlp is not None and self.mlp_norm is not None:
            z = z + self.mlp(self.mlp_norm(z))
        return z
