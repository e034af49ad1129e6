"""A TransUNet-like network: a residual CNN, a transformer on its deepest map, a U-Net decoder."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Conv
from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.conv import NormKind, ResidualUnit
from search_spaces.blocks.gated_layer import MLP, GatedLayer
from search_spaces.blocks.position import sincos_embedding
from search_spaces.networks.apformer_net import double_conv
from search_spaces.networks.planes import check_size, fold_slices, unfold_slices


class TransUNet(nn.Module):
    """Residual units of `width * 2**level` channels around a transformer of `hidden` (Chen 2021).

    x: (B, C_in, *S) -> logits (B, C_cls, *S); a plane network takes a volume slice by slice. The
    voxels of the deepest map, `encoder[-1]`, are the tokens. Positions are sines and cosines, so
    that any size will do. Raises ValueError where an axis is no multiple of 2**(levels - 1).
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int,
        layers: int,
        heads: int,
        mlp_ratio: int,
        width: int,
        levels: int,
        norm: NormKind,
    ) -> None:
        super().__init__()
        self.spatial_dims, self.stride = spatial_dims, 2 ** (levels - 1)
        channels = [width * 2**level for level in range(levels)]
        conv = Conv[Conv.CONV, spatial_dims]
        self.encoder = nn.ModuleList(
            ResidualUnit(spatial_dims, before, here, norm=norm, stride=2 if level else 1)
            for level, (before, here) in enumerate(
                zip([in_channels, *channels], channels, strict=False)
            )
        )
        self.embed = nn.Linear(channels[-1], hidden)
        self.layers = nn.ModuleList(
            GatedLayer(hidden, Attention(hidden, heads), MLP(hidden, mlp_ratio * hidden))
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.narrow = nn.Linear(hidden, channels[-2])
        mode = "bilinear" if spatial_dims == 2 else "trilinear"
        self.up = nn.Upsample(scale_factor=2, mode=mode, align_corners=False)
        self.decoder = nn.ModuleList(
            double_conv(spatial_dims, 2 * channels[i], channels[i], channels[max(i - 1, 0)], norm)
            for i in reversed(range(levels - 1))
        )
        self.head = conv(channels[0], out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.spatial_dims, self.stride)
        y = fold_slices(x, self.spatial_dims)
        skips: list[torch.Tensor] = []
        for encode in self.encoder:
            y = encode(y)
            skips.append(y)
        y = self._transform(skips.pop())
        for decode in self.decoder:
            y = decode(torch.cat([skips.pop(), self.up(y)], dim=1))
        return unfold_slices(self.head(y), x)

    def _transform(self, y: torch.Tensor) -> torch.Tensor:
        size = tuple(y.shape[2:])
        z = self.embed(y.flatten(2).transpose(1, 2))  # (B, N, hidden)
        z = z + sincos_embedding(size, z.shape[-1], z.device).to(z.dtype)
        for layer in self.layers:
            z = layer(z, size)
        return self.narrow(self.norm(z)).transpose(1, 2).unflatten(2, size)
