"""The local structural prior module (LightMedSeg, Sec. 3.3), and the routing by its texture map."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from search_spaces.blocks.conv import Size, dense, four_group_norm, normed_silu, pointwise
from search_spaces.blocks.dimensions import along_each_axis

DetailKind = Literal["dense", "depthwise"]
TEXTURE, EXPERTS = "texture routing", "experts"  # the mechanisms; see `search_spaces.offers`


class LSPM(nn.Module):
    """Where the image is structured, and features that already heed it.

    x: (B, C, *S) -> texture (B, 1, *S) between 0 and 1, features (B, C, *S). `kernel`: of its
    3^n convolutions; where that is 1 its 5^n one does not reach along the axis either.
    """

    def __init__(self, spatial_dims: int, channels: int, kernel: Size = 3) -> None:
        super().__init__()
        self.texture = TextureMap(spatial_dims, channels, kernel)
        self.complexity = ComplexityHead(spatial_dims, channels, kernel)
        self.mix = ExpertMixer(spatial_dims, channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.texture(x), self.mix(x, self.complexity(x))

    def spends(self) -> dict[str, list[nn.Module]]:
        """See `search_spaces.offers`."""
        return {EXPERTS: [self.complexity]}


class TextureMap(nn.Module):
    """What a 5^n depthwise smoothing takes away (LightMedSeg, Eq. 2 and 3).

    x: (B, C, *S) -> (B, 1, *S) between 0 and 1.
    """

    def __init__(self, spatial_dims: int, channels: int, kernel: Size = 3) -> None:
        super().__init__()
        wide = [5 if width > 1 else 1 for width in along_each_axis(kernel, spatial_dims)]
        smooth = dense(spatial_dims, channels, channels, kernel=wide, groups=channels)
        self.smooth = normed_silu(smooth, channels)
        self.project = pointwise(spatial_dims, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.project((self.smooth(x) - x).abs()))

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        return {TEXTURE: {"texture": output[:, 0]}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def constant(
            inputs: tuple[Any, ...], output: torch.Tensor, mean: dict[str, float]
        ) -> torch.Tensor:
            return torch.full_like(output, mean["texture"])

        return {TEXTURE: {"constant": constant}}


class ComplexityHead(nn.Sequential):
    """How complex the features are at a voxel (LightMedSeg, Eq. 4).

    (B, C, *S) -> (B, 1, *S) between 0 and 1. Two 3^n convolutions to 2C channels, then a 1^n one:
    the reading that has the published 10.5 K parameters.
    """

    def __init__(self, spatial_dims: int, channels: int, kernel: Size = 3) -> None:
        wide = 2 * channels
        super().__init__(
            dense(spatial_dims, channels, wide, kernel=kernel),
            four_group_norm(wide),
            nn.SiLU(),
            dense(spatial_dims, wide, wide, kernel=kernel),
            four_group_norm(wide),
            nn.SiLU(),
            pointwise(spatial_dims, wide, 1),
            nn.Sigmoid(),
        )


class ExpertMixer(nn.Module):
    """Two 1^n projections, mixed at every voxel by its complexity (LightMedSeg, Eq. 5).

    x: (B, C, *S), complexity: (B, 1, *S) -> (B, C, *S).
    """

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(pointwise(spatial_dims, channels, channels) for _ in range(2))
        self.gate = pointwise(spatial_dims, 1, 2)

    def weights(self, complexity: torch.Tensor) -> torch.Tensor:
        """(B, 1, *S) -> (B, 2, *S), the experts' shares, which sum to one."""
        return self.gate(complexity).softmax(1)

    def forward(self, x: torch.Tensor, complexity: torch.Tensor) -> torch.Tensor:
        first, second = self.weights(complexity).split(1, dim=1)
        return first * self.experts[0](x) + second * self.experts[1](x)

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        first, second = self.weights(inputs[1]).unbind(1)
        return {EXPERTS: {"expert 1": first, "expert 2": second}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def uniform(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            return torch.stack([expert(inputs[0]) for expert in self.experts]).mean(0)

        return {EXPERTS: {"uniform shares": uniform}}

    def spends(self) -> dict[str, list[nn.Module]]:
        """See `search_spaces.offers`."""
        return {EXPERTS: [self.gate]}


def detail_path(
    spatial_dims: int, channels: int, kind: DetailKind = "dense", kernel: Size = 3
) -> nn.Sequential:
    """A 3^n convolution, norm and SiLU (LightMedSeg, Eq. 7). (B, C, *S) -> (B, C, *S).

    Eq. 7 writes a depthwise convolution; a dense one has the published number of parameters.
    """
    groups = channels if kind == "depthwise" else 1
    return normed_silu(
        dense(spatial_dims, channels, channels, kernel=kernel, groups=groups), channels
    )


class TextureRouting(nn.Module):
    """The detail path where the texture map is 1, a 1^n convolution where it is 0 (Eq. 7 to 9).

    x: (B, C, *S), texture: (B, 1, *S) between 0 and 1 -> (B, C, *S).
    """

    def __init__(
        self, spatial_dims: int, channels: int, kind: DetailKind = "dense", kernel: Size = 3
    ) -> None:
        super().__init__()
        self.detail = detail_path(spatial_dims, channels, kind, kernel)
        self.smooth = pointwise(spatial_dims, channels, channels)

    def forward(self, x: torch.Tensor, texture: torch.Tensor) -> torch.Tensor:
        return texture * self.detail(x) + (1 - texture) * self.smooth(x)

    def spends(self) -> dict[str, list[nn.Module]]:
        """See `search_spaces.offers`."""
        return {TEXTURE: [self.smooth]}
