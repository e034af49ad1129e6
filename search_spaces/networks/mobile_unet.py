"""A U-Net whose encoder is MobileNetV2."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from search_spaces.axes import ALIKE, Axes
from search_spaces.blocks.conv import Size, dense, transposed
from search_spaces.blocks.dimensions import BATCH_NORM

# Expansion, channels over those of the first block, how many blocks, whether the first halves
BLOCKS = (
    (1, 1, 1, False),
    (6, 1.5, 2, True),
    (6, 2, 3, True),
    (6, 4, 4, True),
    (6, 6, 3, False),
    (6, 10, 3, True),
    (6, 20, 1, False),
)
EXPANSION = 6  # of the decoder's


class MobileUNet(nn.Module):
    """MobileNetV2 downwards, transposed convolutions and inverted residuals upwards.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). `width`: channels of the first block, 16 as
    published. Skips are the maps at 1/2 to 1/16; a transposed convolution makes the logits.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, axes: Axes = ALIKE) -> None:
        super().__init__()
        self.encoder = MobileNetV2(3, in_channels, width, axes)
        channels = self.encoder.channels
        self.up = nn.ModuleList(
            transposed(3, coarse, fine, axes.step(level + 1))
            for level, (fine, coarse) in reversed(list(enumerate(pairwise(channels))))
        )
        self.mix = nn.ModuleList(
            InvertedResidual(3, 2 * c, c, EXPANSION, kernel=axes.kernel(level + 1))
            for level, c in reversed(list(enumerate(channels[:-1])))
        )
        self.classify = transposed(3, width, out_channels, axes.step(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *skips, y = self.encoder(x)
        for up, mix in zip(self.up, self.mix, strict=True):
            y = mix(torch.cat([skips.pop(), up(y)], dim=1))
        return self.classify(y)


class MobileNetV2(nn.Module):
    """The inverted residuals of MobileNetV2 (Sandler 2018, Table 2), without its head.

    x: (B, C_in, *S) -> its maps at 1/2, 1/4 ... 1/32 of `channels`, each (B, C, *S / stride).
    """

    def __init__(self, spatial_dims: int, in_channels: int, width: int, axes: Axes = ALIKE) -> None:
        super().__init__()
        axes = axes.plane() if spatial_dims == 2 else axes
        stem, before, step = 2 * width, 2 * width, 1
        levels = [[_unit(spatial_dims, in_channels, stem, axes.step(0), axes.kernel(1))]]
        self.channels: list[int] = []
        for expansion, wide, count, halves in BLOCKS:
            here = int(width * wide)
            if halves:
                self.channels.append(before)
                levels.append([])
                step += 1
            for i in range(count):
                stride: Size = axes.step(step - 1) if halves and i == 0 else 1
                kernel = axes.kernel(step)
                levels[-1].append(
                    InvertedResidual(spatial_dims, before, here, expansion, stride, kernel)
                )
                before = here
        self.channels.append(before)
        self.levels = nn.ModuleList(nn.Sequential(*level) for level in levels)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps


class InvertedResidual(nn.Module):
    """To `expansion` times the channels, a depthwise convolution there, and back (Sandler 2018,
    Sec. 3.3), with a shortcut where shapes allow one.

    (B, in_channels, *S) -> (B, out_channels, *ceil(S / stride)).
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        expansion: int,
        stride: Size = 1,
        kernel: Size = 3,
    ) -> None:
        super().__init__()
        wide = expansion * in_channels
        steps = [_unit(spatial_dims, in_channels, wide, kernel=1)] if expansion > 1 else []
        self.body = nn.Sequential(
            *steps,
            _unit(spatial_dims, wide, wide, stride, kernel, groups=wide),
            dense(spatial_dims, wide, out_channels, kernel=1, bias=False),
            BATCH_NORM[spatial_dims](out_channels),
        )
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.shortcut else self.body(x)


def _unit(
    spatial_dims: int,
    in_channels: int,
    out_channels: int,
    stride: Size = 1,
    kernel: Size = 3,
    groups: int = 1,
) -> nn.Module:
    conv = dense(spatial_dims, in_channels, out_channels, stride, kernel, groups, bias=False)
    return nn.Sequential(conv, BATCH_NORM[spatial_dims](out_channels), nn.ReLU6())
