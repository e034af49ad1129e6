"""From the shallowest level of `HybridUNet` to logits at the input's resolution."""

from __future__ import annotations

import torch
from torch import nn

from search_spaces.blocks.conv import ConvUnit
from search_spaces.networks.hybrid_plan import HybridPlan


def hybrid_head(plan: HybridPlan, in_channels: int, out_channels: int) -> nn.Module:
    """The head of the plan's kind; all are called with (y, x), x the input image."""
    if plan.stem_stride == 1:
        return PlainHead(plan.width, out_channels)
    if plan.refine == 0:
        return UpsamplingHead(plan.width, out_channels)
    return RefiningHead(plan, in_channels, out_channels)


class PlainHead(nn.Module):
    """1^3 convolution to logits."""

    def __init__(self, width: int, out_channels: int) -> None:
        super().__init__()
        self.classify = nn.Conv3d(width, out_channels, 1)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.classify(y)


class UpsamplingHead(nn.Module):
    """Transposed convolution from half the input's resolution to logits."""

    def __init__(self, width: int, out_channels: int) -> None:
        super().__init__()
        self.classify = nn.ConvTranspose3d(width, out_channels, 2, stride=2)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.classify(y)


class RefiningHead(nn.Module):
    """Upsamples to `plan.refine` channels, joins the input image, one conv unit, logits."""

    def __init__(self, plan: HybridPlan, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(plan.width, plan.refine, 2, stride=2)
        self.unit = ConvUnit(
            3, plan.refine + in_channels, plan.refine, conv=plan.conv, norm=plan.norm
        )
        self.classify = nn.Conv3d(plan.refine, out_channels, 1)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.classify(self.unit(torch.cat([self.up(y), x], dim=1)))
