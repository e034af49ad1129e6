"""The local structural prior module (LightMedSeg, Sec. 3.3), and the routing by its texture map."""

from __future__ import annotations

from typing import Literal

import torch
from monai.networks.layers.factories import Conv
from torch import nn

from search_spaces.blocks.conv import four_group_norm, normed_silu

DetailKind = Literal["dense", "depthwise"]


class LSPM(nn.Module):
    """Where the image is structured, and features that already heed it.

    x: (B, C, *S) -> texture (B, 1, *S) between 0 and 1, features (B, C, *S).
    """

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__()
        self.texture = TextureMap(spatial_dims, channels)
        self.complexity = ComplexityHead(spatial_dims, channels)
        self.mix = ExpertMixer(spatial_dims, channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.texture(x), self.mix(x, self.complexity(x))


class TextureMap(nn.Module):
    """What a 5^n depthwise smoothing takes away (LightMedSeg, Eq. 2 and 3).

    x: (B, C, *S) -> (B, 1, *S) between 0 and 1.
    """

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        smooth = conv(channels, channels, 5, padding=2, groups=channels)
        self.smooth = normed_silu(smooth, channels)
        self.project = conv(channels, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.project((self.smooth(x) - x).abs()))


class ComplexityHead(nn.Sequential):
    """How complex the features are at a voxel (LightMedSeg, Eq. 4).

    (B, C, *S) -> (B, 1, *S) between 0 and 1. Two 3^n convolutions to 2C channels, then a 1^n one:
    the reading that has the published 10.5 K parameters.
    """

    def __init__(self, spatial_dims: int, channels: int) -> None:
        conv, wide = Conv[Conv.CONV, spatial_dims], 2 * channels
        super().__init__(
            conv(channels, wide, 3, padding=1),
            four_group_norm(wide),
            nn.SiLU(),
            conv(wide, wide, 3, padding=1),
            four_group_norm(wide),
            nn.SiLU(),
            conv(wide, 1, 1),
            nn.Sigmoid(),
        )


class ExpertMixer(nn.Module):
    """Two 1^n projections, mixed at every voxel by its complexity (LightMedSeg, Eq. 5).

    x: (B, C, *S), complexity: (B, 1, *S) -> (B, C, *S).
    """

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__()
        conv = Conv[Conv.CONV, spatial_dims]
        self.experts = nn.ModuleList(conv(channels, channels, 1) for _ in range(2))
        self.gate = conv(1, 2, 1)

    def weights(self, complexity: torch.Tensor) -> torch.Tensor:
        """(B, 1, *S) -> (B, 2, *S), the experts' shares, which sum to one."""
        return self.gate(complexity).softmax(1)

    def forward(self, x: torch.Tensor, complexity: torch.Tensor) -> torch.Tensor:
        first, second = self.weights(complexity).split(1, dim=1)
        return first * self.experts[0](x) + second * self.experts[1](x)


def detail_path(spatial_dims: int, channels: int, kind: DetailKind = "dense") -> nn.Sequential:
    """A 3^n convolution, norm and SiLU (LightMedSeg, Eq. 7). (B, C, *S) -> (B, C, *S).

    Eq. 7 writes a depthwise convolution; a dense one has the published number of parameters.
    """
    groups = channels if kind == "depthwise" else 1
    conv = Conv[Conv.CONV, spatial_dims](channels, channels, 3, padding=1, groups=groups)
    return normed_silu(conv, channels)


class TextureRouting(nn.Module):
    """The detail path where the texture map is 1, a 1^n convolution where it is 0 (Eq. 7 to 9).

    x: (B, C, *S), texture: (B, 1, *S) between 0 and 1 -> (B, C, *S).
    """

    def __init__(self, spatial_dims: int, channels: int, kind: DetailKind = "dense") -> None:
        super().__init__()
        self.detail = detail_path(spatial_dims, channels, kind)
        self.smooth = Conv[Conv.CONV, spatial_dims](channels, channels, 1)

    def forward(self, x: torch.Tensor, texture: torch.Tensor) -> torch.Tensor:
        return texture * self.detail(x) + (1 - texture) * self.smooth(x)
