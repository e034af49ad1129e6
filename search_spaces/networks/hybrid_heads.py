"""From the shallowest level of `HybridUNet` to logits at the input's resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.blocks.conv import ConvUnit

if TYPE_CHECKING:
    from search_spaces.hybrid import Hybrid


def hybrid_head(point: Hybrid, in_channels: int, out_channels: int) -> nn.Module:
    """The head that the point asks for; all are called with (y, x), x the input image."""
    if point.stem_stride > 1 and point.refine:
        return RefiningHead(point, in_channels, out_channels)
    return PlainHead(point.width, out_channels, point.stem_stride)


class PlainHead(nn.Module):
    """A convolution from voxels of `stride` to logits, 1^3 or transposed."""

    def __init__(self, width: int, out_channels: int, stride: int) -> None:
        super().__init__()
        conv = nn.Conv3d if stride == 1 else nn.ConvTranspose3d
        self.classify = conv(width, out_channels, stride, stride)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.classify(y)


class RefiningHead(nn.Module):
    """Upsamples to `refine` channels, joins the input image, one conv unit, logits."""

    def __init__(self, point: Hybrid, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(point.width, point.refine, 2, stride=2)
        self.unit = ConvUnit(
            3, point.refine + in_channels, point.refine, conv=point.conv, norm=point.norm
        )
        self.classify = nn.Conv3d(point.refine, out_channels, 1)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.classify(self.unit(torch.cat([self.up(y), x], dim=1)))
