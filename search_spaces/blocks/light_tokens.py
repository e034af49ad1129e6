"""Light transformer layers over a feature map."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import nn

from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.blocks.halo_windows import HaloWindows
from search_spaces.blocks.mlp import MLP
from search_spaces.blocks.pooled_windows import PooledWindows
from search_spaces.blocks.position import sincos_embedding
from search_spaces.blocks.prunable import Place, Units
from search_spaces.blocks.shared_heads import SharedHeads, head_units, key_value_projection
from search_spaces.blocks.top_windows import TopWindows
from search_spaces.blocks.windows import Windowed

Exchange = Literal["none", "pooled", "grid"]


class LightTokens(nn.Module):
    """`depth` transformer layers over the voxels of a feature map, with a residual around them.

    `window` 0: global attention; else attention in windows, every second layer's moved by half a
    window if `shift`; or windows that overlap by `halo` tokens on every side (`HaloWindows`); or
    each window with the `top` nearest to it, itself among them (`TopWindows`). After the last layer
    comes an exchange across windows: attention to one pooled token for each (`PooledWindows`), in
    dilated windows, or none. `share_layers`: the keys and values of every two layers are one
    projection of the tokens that enter the first of them (CLA2; Brandon 2024, Sec. 3). `kv_heads`
    and `rank_ratio`: see `SharedHeads`.

    x: (B, C, *S) -> (B, C, *S).
    """

    def __init__(
        self,
        channels: int,
        depth: int,
        *,
        heads: int,
        kv_heads: int,
        window: int = 0,
        halo: int = 0,
        top: int = 1,
        shift: bool = False,
        exchange: Exchange = "none",
        share_layers: bool = False,
        rank_ratio: float = 1.0,
        mlp_ratio: int = 4,
    ) -> None:
        super().__init__()

        def attention() -> SharedHeads:
            return SharedHeads(channels, heads, kv_heads, rank_ratio, project_kv=not share_layers)

        def mixer(layer: int) -> nn.Module:
            if not window:
                return attention()
            if halo:
                return HaloWindows(attention(), window, halo)
            if top > 1:
                return TopWindows(attention(), window, top)
            return Windowed(attention(), window, shift and layer % 2 == 1)

        self.layers = nn.ModuleList(
            GatedLayer(
                channels,
                mixer(i),
                MLP(channels, mlp_ratio * channels, rank_ratio),
            )
            for i in range(depth)
        )
        if window and exchange != "none":
            across = PooledWindows if exchange == "pooled" else partial(Windowed, dilated=True)
            self.layers.append(GatedLayer(channels, across(attention(), window), None))
        pairs = range(0, len(self.layers), 2) if share_layers else ()
        self.keys_values = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(channels), key_value_projection(channels, heads, kv_heads, rank_ratio)
            )
            for _ in pairs
        )
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = tuple(x.shape[2:])
        z = x.flatten(2).transpose(1, 2)
        z = z + sincos_embedding(size, x.shape[1], x.device).to(x.dtype)  # (B, N, C)
        kv = None
        for i, layer in enumerate(self.layers):
            if self.keys_values and i % 2 == 0:
                kv = self.keys_values[i // 2](z)
            z = layer(z, size, kv)
        return x + self.norm(z).transpose(1, 2).unflatten(2, size)

    def prunable(self) -> dict[str, Units]:
        """The heads of layers that have the same keys and values, one for each head."""
        attention = [m for m in self.modules() if isinstance(m, SharedHeads)]
        units = {}
        for pair, projection in enumerate(self.keys_values):
            layers = attention[2 * pair : 2 * pair + 2]
            if layers[0].kv_heads == layers[0].heads:
                _, linear = projection.children()
                made = Place(linear, before=2, after=layers[0].head_width)
                units[f"heads.{pair}"] = head_units(*layers, keys_values=made)
        return units
