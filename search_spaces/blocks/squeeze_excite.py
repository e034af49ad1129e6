"""Squeeze-and-excitation (Hu 2018, Sec. 3)."""

from __future__ import annotations

import torch
from torch import nn


class SqueezeExcite(nn.Module):
    """Weighs channels by what all voxels say of them (LightMedSeg, Eq. 10).

    x: (B, C, *S) -> (B, C, *S). The bottleneck is max(4, C // 8) wide, a floor that MONAI's
    `ChannelSELayer`, which takes a ratio, cannot give to every C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        bottleneck = max(4, channels // 8)
        self.excite = nn.Sequential(
            nn.Linear(channels, bottleneck),
            nn.SiLU(),
            nn.Linear(bottleneck, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.excite(x.flatten(2).mean(-1))  # (B, C)
        return x * weights.view(x.shape[:2] + (1,) * (x.dim() - 2))
