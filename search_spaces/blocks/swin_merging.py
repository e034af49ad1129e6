"""Patch merging of the Swin transformer (Liu 2021, Sec. 3.1), by factors for each axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import nn


class SwinMerging(nn.Module):
    """The tokens of a patch, one behind the other, normalised and projected to twice the channels.

    `factors`: tokens of a patch along each axis, which divide the grid. (B, *S, C) ->
    (B, *S / factors, 2C).
    """

    def __init__(self, channels: int, factors: Sequence[int]) -> None:
        super().__init__()
        self.factors = tuple(factors)
        merged = math.prod(factors) * channels
        self.reduction = nn.Linear(merged, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(merged)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        starts = product(*map(range, self.factors))
        parts = [
            x[:, *(slice(i, None, f) for i, f in zip(start, self.factors, strict=True))]
            for start in starts
        ]
        return self.reduction(self.norm(torch.cat(parts, -1)))
