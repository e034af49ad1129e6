"""Logits at a finer resolution than the features they come from."""

from __future__ import annotations

import math

import torch
from torch import nn

from search_spaces.blocks.conv import Size
from search_spaces.blocks.dimensions import along_each_axis


class SubvoxelHead(nn.Module):
    """A linear layer from a feature voxel to the logits of the voxels that it covers.

    `factor`: how many along each axis. (B, C, *S) -> (B, classes, *factor * S). The transposed
    convolution of that kernel and stride, as one matrix product and a rearrangement (sub-pixel
    convolution, Shi 2016).
    """

    def __init__(self, spatial_dims: int, channels: int, classes: int, factor: Size) -> None:
        super().__init__()
        self.factors = along_each_axis(factor, spatial_dims)
        self.classify = nn.Linear(channels, classes * math.prod(self.factors))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = len(self.factors)
        logits = self.classify(x.movedim(1, -1))  # (B, *S, classes * prod(factors))
        parts = logits.unflatten(-1, (-1, *self.factors))  # (B, *S, classes, *factors)
        order = [0, n + 1, *(axis for i in range(n) for axis in (1 + i, n + 2 + i))]
        y = parts.permute(order)
        for axis in range(2, 2 + n):
            y = y.flatten(axis, axis + 1)
        return y
