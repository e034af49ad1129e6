"""3D UX-Net: a U-Net whose encoder has depthwise convolutions of large kernels."""

from __future__ import annotations

from itertools import pairwise

import torch
from monai.networks.blocks.dynunet_block import UnetOutBlock
from monai.networks.blocks.unetr_block import UnetrBasicBlock, UnetrUpBlock
from torch import nn

from search_spaces.axes import ALIKE, Axes
from search_spaces.blocks.conv import dense

KERNEL, BLOCKS, LEVELS = 7, 2, 4
EXPANSION = 4
SCALE = 1e-6  # of what a block adds, at the start


class UXNet(nn.Module):
    """3D UX-Net (Lee 2023, Sec. 3): the decoder of SwinUNETR above an encoder of convolutions.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). `width`: channels at full resolution, 48 as
    published. Kernels are the text's 7^3; the released code has 13^3 by now.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, axes: Axes = ALIKE) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS + 1)]  # at 1, 1/2 ... 1/16
        steps = [axes.step(level) for level in range(LEVELS)]
        stem = nn.Sequential(dense(3, in_channels, width, steps[0], KERNEL), ChannelNorm(width))
        merge = [
            nn.Sequential(ChannelNorm(fine), nn.Conv3d(fine, coarse, step, step))  # type: ignore[arg-type]
            for (fine, coarse), step in zip(pairwise(widths[:LEVELS]), steps[1:], strict=True)
        ]
        self.encoder = nn.ModuleList(
            nn.Sequential(enter, *(LargeKernelBlock(c) for _ in range(BLOCKS)))
            for enter, c in zip([stem, *merge], widths, strict=False)
        )
        self.norms = nn.ModuleList(ChannelNorm(c) for c in widths[:LEVELS])
        self.skips = nn.ModuleList(
            UnetrBasicBlock(3, before, here, 3, 1, "instance", res_block=True)
            for before, here in zip([in_channels, *widths], widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            UnetrUpBlock(3, coarse, fine, 3, step, "instance", res_block=True)
            for (fine, coarse), step in reversed(list(zip(pairwise(widths), steps, strict=True)))
        )
        self.last = UnetrBasicBlock(3, width, width, 3, 1, "instance", res_block=True)
        self.classify = UnetOutBlock(3, width, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, maps = x, [x]
        for encode, norm in zip(self.encoder, self.norms, strict=True):
            y = encode(y)
            maps.append(norm(y))
        *skips, y = [skip(m) for skip, m in zip(self.skips, maps, strict=True)]
        for decode in self.decoder:
            y = decode(y, skips.pop())
        return self.classify(self.last(y))


class LargeKernelBlock(nn.Module):
    """A depthwise 7^3 convolution, and each channel apart widened and brought back (Lee 2023, Sec.
    3.2, "depthwise convolution scaling"), added to the input. (B, C, *S) -> (B, C, *S)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = EXPANSION * channels
        self.body = nn.Sequential(
            dense(3, channels, channels, kernel=KERNEL, groups=channels),
            ChannelNorm(channels),
            dense(3, channels, wide, kernel=1, groups=channels),
            nn.GELU(),
            dense(3, wide, channels, kernel=1, groups=channels),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1, 1), SCALE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.body(x)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation of each voxel's channels. (B, C, *S) -> (B, C, *S)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
