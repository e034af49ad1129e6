"""Learned spatial anchors and the two ways they steer a network (LightMedSeg, Sec. 3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from search_spaces.axes import ALIKE, Axes
from search_spaces.blocks.conv import dense
from search_spaces.blocks.dimensions import CONV
from search_spaces.blocks.norms import SpreadGroupNorm

ANCHORS = "anchors"  # the mechanism; see `search_spaces.offers`


class AnchorDetector(nn.Module):
    """K coordinates predicted from the input volume (LightMedSeg, Eq. 1).

    x: (B, C, *S) -> (B, K, spatial_dims), every coordinate in [0, 1]. Its three strided
    convolutions heed the `axes` of the volume.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, anchors: int, axes: Axes = ALIKE
    ) -> None:
        super().__init__()
        self.spatial_dims = spatial_dims
        axes = axes.plane() if spatial_dims == 2 else axes
        steps: list[nn.Module] = []
        for step, channels in enumerate((in_channels, 8, 8)):
            conv = dense(spatial_dims, channels, 8, axes.step(step), axes.kernel(step))
            steps += [conv, SpreadGroupNorm(4, 8), nn.SiLU()]
        self.encoder = nn.Sequential(*steps)
        self.mlp = nn.Sequential(
            nn.Linear(8, 128), nn.SiLU(), nn.Linear(128, anchors * spatial_dims)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.encoder(x).flatten(2).mean(-1)  # (B, 8)
        return torch.sigmoid(self.mlp(pooled)).unflatten(1, (-1, self.spatial_dims))

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        return {ANCHORS: output}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def everywhere(
            inputs: tuple[Any, ...], output: torch.Tensor, mean: torch.Tensor
        ) -> torch.Tensor:
            return mean.to(output).expand_as(output)

        return {ANCHORS: {"mean over cases": everywhere}}


class FiLM(nn.Module):
    """Scales and shifts channels by a linear map of the anchors (LightMedSeg, Eq. 6).

    x: (B, C, *S), anchors: (B, K, spatial_dims) -> (B, C, *S). Starts as the identity.
    """

    def __init__(self, spatial_dims: int, channels: int, anchors: int) -> None:
        super().__init__()
        self.gamma = nn.Linear(anchors * spatial_dims, channels, bias=False)
        self.beta = nn.Linear(anchors * spatial_dims, channels, bias=False)
        nn.init.zeros_(self.gamma.weight)
        nn.init.zeros_(self.beta.weight)

    def forward(self, x: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
        s = anchors.flatten(1)
        per_channel = x.shape[:2] + (1,) * (x.dim() - 2)
        return (1 + self.gamma(s)).view(per_channel) * x + self.beta(s).view(per_channel)

    def spends(self) -> dict[str, list[nn.Module]]:
        """See `search_spaces.offers`."""
        return {ANCHORS: [self]}


class PositionBias(nn.Module):
    """Signed distances to the anchors, projected to channels (LightMedSeg, Eq. 14 and 15).

    anchors: (B, K, n) and a size *S of n axes -> (B, C, *S).
    """

    def __init__(self, spatial_dims: int, channels: int, anchors: int) -> None:
        super().__init__()
        self.project = CONV[spatial_dims](anchors, channels, 1)

    def forward(self, anchors: torch.Tensor, size: torch.Size | tuple[int, ...]) -> torch.Tensor:
        batch, k, n = anchors.shape
        distance = anchors.new_zeros((batch, k, *size))
        for axis, length in enumerate(size):
            place = torch.arange(length, device=anchors.device, dtype=anchors.dtype) / length
            offset = place - anchors[..., axis, None]  # (B, K, length)
            shape = [1] * n
            shape[axis] = length
            distance = distance + offset.view(batch, k, *shape)
        return self.project(distance)

    def spends(self) -> dict[str, list[nn.Module]]:
        """See `search_spaces.offers`."""
        return {ANCHORS: [self]}
