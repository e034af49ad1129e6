"""From the shallowest level of `HybridUNet` to logits at the input's resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.blocks.conv import ConvUnit, pointwise, transposed

if TYPE_CHECKING:
    from search_spaces.hybrid import Hybrid


def hybrid_head(point: Hybrid, in_channels: int, out_channels: int) -> nn.Module:
    """The head that the point asks for; all are called with (y, x), x the input image."""
    if point.stem_stride > 1 and point.refine:
        return RefiningHead(point, in_channels, out_channels)
    return PlainHead(point.width, out_channels, point.factor(0))


class PlainHead(nn.Module):
    """A convolution from voxels of that size to logits, 1^3 or transposed."""

    def __init__(self, width: int, out_channels: int, size: tuple[int, ...]) -> None:
        super().__init__()
        same = max(size) == 1
        self.classify = (
            pointwise(3, width, out_channels) if same else transposed(3, width, out_channels, size)
        )

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.classify(y)


class RefiningHead(nn.Module):
    """Upsamples to `refine` channels, joins the input image, one conv unit, logits.

    With `coarse_logits` the features before it give logits, too, past the few channels of the
    refinement, as the last unit of MONAI's UNet does. Fewer channels than classes would hold the
    training up instead, and give none.
    """

    def __init__(self, point: Hybrid, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = transposed(3, point.width, point.refine, point.factor(0))
        self.unit = ConvUnit(
            3,
            point.refine + in_channels,
            point.refine,
            conv=point.conv,
            norm=point.norm,
            kernel=point.kernel(-1),
        )
        self.classify = nn.Conv3d(point.refine, out_channels, 1)
        self.coarse = (
            transposed(3, point.width, out_channels, point.factor(0))
            if point.coarse_logits and point.width >= out_channels
            else None
        )

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        logits = self.classify(self.unit(torch.cat([self.up(y), x], dim=1)))
        return logits if self.coarse is None else logits + self.coarse(y)
