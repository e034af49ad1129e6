"""The convolutional decoder of UNETR (Hatamizadeh 2022), for patches of any power of two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from monai.networks.blocks import UnetrBasicBlock, UnetResBlock, UnetrPrUpBlock, UnetrUpBlock
from monai.networks.blocks.dynunet_block import get_conv_layer
from torch import nn

from search_spaces.axes import ALIKE, Axes
from search_spaces.blocks.dimensions import AVERAGE_POOL
from search_spaces.blocks.norms import spread_norms
from search_spaces.blocks.recompute import recomputed

_RESIDUAL: dict[str, Any] = {
    "spatial_dims": 3,
    "norm_name": "instance",
    "res_block": True,
}


class UNETRDecoder(nn.Module):
    """Token maps, each at the patches' grid, and the image to logits at full resolution.

    `patch`: its voxels along an axis that `axes` halves at every step.
    forward(x, maps, recompute): x (B, C_in, D, H, W); `self.maps` maps (B, width, D / patch, ...),
    the last for the bottom, the first for the skip of half resolution -> (B, C_cls, D, H, W). Level
    l has features * 2^l channels after l steps. With `recompute` the blocks keep only their inputs
    for the gradient.

    `pooled`: the bottom is the last map pooled to half the grid, below one more skip at the grid
    itself; otherwise the bottom is the last map. A patch of 16 unpooled is the original UNETR; the
    published costs of Zhou 2023 with a patch of 8 are those of the pooled one on BTCV (their 273
    GMACs) and of the unpooled one on BraTS (their 824).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int,
        features: int,
        patch: int,
        pooled: bool,
        axes: Axes = ALIKE,
    ) -> None:
        super().__init__()
        depth = patch.bit_length() - 1
        if patch != 2**depth or depth < 1:
            raise ValueError(f"patch {patch}; expected a power of two, at least 2")
        self.image = UnetrBasicBlock(
            in_channels=in_channels,
            out_channels=features,
            kernel_size=axes.kernel(0),
            stride=1,
            **_RESIDUAL,
        )
        skips: list[nn.Module] = [
            _rising(width, features * 2**level, level, depth, axes) for level in range(1, depth)
        ]
        if pooled:
            skips.append(
                UnetrBasicBlock(
                    in_channels=width,
                    out_channels=features * 2**depth,
                    kernel_size=axes.kernel(depth),
                    stride=1,
                    **_RESIDUAL,
                )
            )
        self.skips = nn.ModuleList(skips)
        self.pool = AVERAGE_POOL[3](axes.step(depth)) if pooled else nn.Identity()
        channels = [features * 2**level for level in range(len(skips) + 1)] + [width]
        self.up = nn.ModuleList(
            UnetrUpBlock(
                in_channels=below,
                out_channels=here,
                kernel_size=axes.kernel(level),
                upsample_kernel_size=axes.step(level),
                **_RESIDUAL,
            )
            for level, (here, below) in enumerate(pairwise(channels))
        )
        self.classify = nn.Conv3d(features, out_channels, 1)
        spread_norms(self)

    @property
    def maps(self) -> int:
        """How many token maps it takes."""
        return len(self.skips) + 1

    def forward(
        self, x: torch.Tensor, maps: Sequence[torch.Tensor], recompute: bool = False
    ) -> torch.Tensor:
        skips = [
            recomputed(skip, z, when=recompute)
            for skip, z in zip(self.skips, maps[:-1], strict=True)
        ]
        skips.insert(0, recomputed(self.image, x, when=recompute))
        y = self.pool(maps[-1])
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            y = recomputed(up, y, skip, when=recompute)
        return self.classify(y)


def _rising(width: int, channels: int, level: int, depth: int, axes: Axes) -> UnetrPrUpBlock:
    """From the patches' grid, step by step, to the maps of a level."""
    block = UnetrPrUpBlock(
        in_channels=width,
        out_channels=channels,
        num_layer=0,
        kernel_size=3,
        stride=1,
        upsample_kernel_size=axes.step(depth - 1),
        conv_block=True,
        **_RESIDUAL,
    )
    for step in reversed(range(level, depth - 1)):  # MONAI's own have one kernel for all
        factor = axes.step(step)
        up = get_conv_layer(3, channels, channels, factor, factor, is_transposed=True)
        unit = UnetResBlock(3, channels, channels, axes.kernel(step), 1, "instance")
        block.blocks.append(nn.Sequential(up, unit))
    return block
