"""A SETR-like network: a plain transformer on image patches (Zheng 2021)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.blocks.conv import dense, make_norm
from search_spaces.blocks.dimensions import CONV
from search_spaces.blocks.gated_layer import transformer_layer
from search_spaces.blocks.position import sincos_embedding
from search_spaces.networks.apformer_net import upsampling
from search_spaces.networks.input_size import check_size
from search_spaces.networks.planes import fold_slices, unfold_slices

if TYPE_CHECKING:
    from search_spaces.apformer import APFormer


class SETR(nn.Module):
    """Patches to tokens, transformer layers, progressive upsampling (SETR-PUP).

    x: (B, C_in, *S) -> logits (B, C_cls, *S); a plane network takes a volume slice by slice. A
    patch is as wide as the stride, `hidden` the tokens' width; every step of the decoder is a
    convolution and an upsampling by two, the last one of `width` channels, those before of twice as
    many each. Positions are sines and cosines, so that any size will do. Raises ValueError where an
    axis is no multiple of the patch.
    """

    def __init__(self, point: APFormer, in_channels: int, out_channels: int) -> None:
        super().__init__()
        dims, hidden = point.spatial_dims, point.hidden
        self.spatial_dims, self.strides = dims, point.strides()
        axes = point.own_axes
        conv = CONV[dims]
        self.embed = conv(in_channels, hidden, self.strides, stride=self.strides)
        self.layers = nn.ModuleList(
            transformer_layer(hidden, point.heads, point.mlp_ratio) for _ in range(point.layers)
        )
        self.norm = nn.LayerNorm(hidden)
        channels = [hidden, *point.channels[-2::-1]]
        steps: list[nn.Module] = []
        for level, (before, here) in zip(
            range(point.levels - 1, 0, -1), pairwise(channels), strict=True
        ):
            steps += [
                dense(dims, before, here, kernel=axes.kernel(level), bias=False),
                make_norm(point.norm, dims, here),
                nn.ReLU(inplace=True),
                upsampling(axes.step(level - 1), align_corners=False),
            ]
        self.decoder = nn.Sequential(*steps)
        self.head = conv(point.width, out_channels, 1)

    def encoder_stages(self) -> list[list[nn.Module]]:
        """The embedding, then each transformer layer; see `offers`."""
        return [[part] for part in (self.embed, *self.layers)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.strides)
        y = self.embed(fold_slices(x, self.spatial_dims))
        size = tuple(y.shape[2:])
        z = y.flatten(2).transpose(1, 2)  # (B, N, hidden)
        z = z + sincos_embedding(size, z.shape[-1], z.device).to(z.dtype)
        for layer in self.layers:
            z = layer(z, size)
        y = self.norm(z).transpose(1, 2).unflatten(2, size)
        return unfold_slices(self.head(self.decoder(y)), x)
