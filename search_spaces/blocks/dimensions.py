"""Torch's layers by the number of spatial dimensions, 2 or 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from search_spaces.blocks.average_pool import AvgPool3d

Make = Callable[..., Any]  # sizes along each axis are tuples whose length mypy cannot know

CONV: dict[int, Make] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONV: dict[int, Make] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX_POOL: dict[int, Make] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOL: dict[int, Make] = {2: nn.AvgPool2d, 3: AvgPool3d}
INSTANCE_NORM: dict[int, Make] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
BATCH_NORM: dict[int, Make] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def along_each_axis(size: int | Sequence[int], spatial_dims: int) -> tuple[int, ...]:
    """A size that is the same along every axis, or one for each. Raises ValueError for others."""
    sizes = (size,) * spatial_dims if isinstance(size, int) else tuple(size)
    if len(sizes) != spatial_dims:
        raise ValueError(f"{spatial_dims} axes need as many sizes, not {sizes}")
    return sizes
