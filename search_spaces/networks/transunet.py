"""A TransUNet-like network: a residual CNN, a transformer on its deepest map, a U-Net decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.blocks.conv import ResidualUnit
from search_spaces.blocks.dimensions import CONV
from search_spaces.blocks.gated_layer import transformer_layer
from search_spaces.blocks.position import sincos_embedding
from search_spaces.networks.apformer_net import decoder_levels
from search_spaces.networks.input_size import check_size
from search_spaces.networks.planes import fold_slices, unfold_slices

if TYPE_CHECKING:
    from search_spaces.apformer import APFormer


class TransUNet(nn.Module):
    """Residual units of `width * 2**level` channels around a transformer of `hidden` (Chen 2021).

    x: (B, C_in, *S) -> logits (B, C_cls, *S); a plane network takes a volume slice by slice. The
    voxels of the deepest map, `encoder[-1]`, are the tokens. Positions are sines and cosines, so
    that any size will do. Raises ValueError where an axis is no multiple of 2**(levels - 1).
    """

    def __init__(self, point: APFormer, in_channels: int, out_channels: int) -> None:
        super().__init__()
        dims, channels = point.spatial_dims, point.channels
        hidden = point.hidden
        self.spatial_dims, self.strides = dims, point.strides()
        axes = point.own_axes
        conv = CONV[dims]
        self.encoder = nn.ModuleList(
            ResidualUnit(
                dims,
                before,
                here,
                norm=point.norm,
                stride=axes.between(max(level - 1, 0), level),
                kernel=axes.kernel(level),
            )
            for level, (before, here) in enumerate(
                zip([in_channels, *channels], channels, strict=False)
            )
        )
        self.embed = nn.Linear(channels[-1], hidden)
        self.layers = nn.ModuleList(
            transformer_layer(hidden, point.heads, point.mlp_ratio) for _ in range(point.layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.narrow = nn.Linear(hidden, channels[-2])
        self.ups, self.decoder = decoder_levels(point, align_corners=False)
        self.head = conv(channels[0], out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.strides)
        y = fold_slices(x, self.spatial_dims)
        skips: list[torch.Tensor] = []
        for encode in self.encoder:
            y = encode(y)
            skips.append(y)
        y = self._transform(skips.pop())
        for up, decode in zip(self.ups, self.decoder, strict=True):
            y = decode(torch.cat([skips.pop(), up(y)], dim=1))
        return unfold_slices(self.head(y), x)

    def encoder_stages(self) -> list[list[nn.Module]]:
        """Each resolution, the embedding, then each transformer layer; see `offers`."""
        return [[part] for part in (*self.encoder, self.embed, *self.layers)]

    def _transform(self, y: torch.Tensor) -> torch.Tensor:
        size = tuple(y.shape[2:])
        z = self.embed(y.flatten(2).transpose(1, 2))  # (B, N, hidden)
        z = z + sincos_embedding(size, z.shape[-1], z.device).to(z.dtype)
        for layer in self.layers:
            z = layer(z, size)
        return self.narrow(self.norm(z)).transpose(1, 2).unflatten(2, size)
