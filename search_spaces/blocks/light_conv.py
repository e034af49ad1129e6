"""Convolutions for shallow stages that cost little on a CPU."""

from __future__ import annotations

import math

import torch
from torch import nn

from search_spaces.blocks.conv import Size, dense
from search_spaces.blocks.dimensions import along_each_axis
from search_spaces.blocks.norms import SpreadGroupNorm
from search_spaces.blocks.prunable import Place, Units


class LightConv(nn.Module):
    """A residual unit of one depthwise convolution and 1^n ones. (B, C, *S) -> (B, C, *S).

    `expansion` 1: depthwise, normalisation, SiLU, 1^n convolution: the depthwise separable
    convolution (MobileNet, Howard 2017). Above 1: depthwise, normalisation, 1^n convolution to
    `expansion` times the channels, SiLU, 1^n convolution back: the inverted bottleneck
    (MobileNetV2, Sandler 2018) with the depthwise convolution at its thin end (ConvNeXt, Liu 2022,
    Fig. 3c).

    All of it runs channels last, where on a CPU a depthwise convolution of a volume takes a tenth
    of the time and a 1^n convolution is a linear layer.
    """

    def __init__(
        self, spatial_dims: int, channels: int, expansion: int = 1, kernel: Size = 3
    ) -> None:
        super().__init__()
        self.depthwise = dense(spatial_dims, channels, channels, kernel=kernel, groups=channels)
        self.norm = SpreadGroupNorm(1, channels)
        hidden = expansion * channels
        self.expand = nn.Linear(channels, hidden) if expansion > 1 else None
        self.act = nn.SiLU(inplace=True)
        self.project = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = x.movedim(1, -1).contiguous()  # (B, *S, C)
        y = self.norm(self.depthwise(last.movedim(-1, 1))).movedim(1, -1)
        y = self.act(y if self.expand is None else self.expand(y))
        return (last + self.project(y)).movedim(-1, 1)

    def prunable(self) -> dict[str, Units]:
        """The channels of the inverted bottleneck's wide end."""
        if self.expand is None:
            return {}
        hidden = self.expand.out_features
        return {
            "channels": Units(
                "channels", hidden, made=(Place(self.expand),), read=(Place(self.project),)
            )
        }


class PatchMerging(nn.Module):
    """Patches of `factor` voxels along each axis, projected and normalised (Swin, Liu 2021,
    Sec. 3.1).

    (B, C_in, *S) -> (B, C_out, *S / factor), channels last in memory.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, out_channels: int, factor: Size = 2
    ) -> None:
        super().__init__()
        self.factors = along_each_axis(factor, spatial_dims)
        self.project = nn.Linear(in_channels * math.prod(self.factors), out_channels)
        self.norm = SpreadGroupNorm(1, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = x.dim() - 2
        patches = x
        for axis in reversed(range(2, 2 + n)):
            factor = self.factors[axis - 2]
            patches = patches.unflatten(axis, (-1, factor))  # (B, C, D / f, f, H / f, f, ...)
        order = [0, *range(2, 2 + 2 * n, 2), *range(3, 3 + 2 * n, 2), 1]
        y = self.project(patches.permute(order).flatten(n + 1))  # (B, *S / f, C_out)
        return self.norm(y.movedim(-1, 1))
