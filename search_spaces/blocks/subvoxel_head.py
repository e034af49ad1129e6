"""Logits at a finer resolution than the features they come from."""

from __future__ import annotations

import torch
from torch import nn


class SubvoxelHead(nn.Module):
    """A linear layer from a feature voxel to the logits of the `factor`^n voxels that it covers.

    (B, C, *S) -> (B, classes, *factor * S). The transposed convolution of that kernel and stride,
    as one matrix product and a rearrangement (sub-pixel convolution, Shi 2016).
    """

    def __init__(self, spatial_dims: int, channels: int, classes: int, factor: int) -> None:
        super().__init__()
        self.spatial_dims, self.factor = spatial_dims, factor
        self.classify = nn.Linear(channels, classes * factor**spatial_dims)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, factor = self.spatial_dims, self.factor
        logits = self.classify(x.movedim(1, -1))  # (B, *S, classes * factor^n)
        parts = logits.unflatten(-1, (-1, *[factor] * n))  # (B, *S, classes, *factors)
        order = [0, n + 1, *(axis for i in range(n) for axis in (1 + i, n + 2 + i))]
        y = parts.permute(order)
        for axis in range(2, 2 + n):
            y = y.flatten(axis, axis + 1)
        return y
