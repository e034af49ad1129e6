"""The one condition that a network puts on its input."""

from __future__ import annotations

import torch


def check_size(x: torch.Tensor, stride: int, spatial_dims: int = 3) -> None:
    """Raises ValueError where one of the last `spatial_dims` axes is no multiple of `stride`."""
    size = tuple(x.shape[-spatial_dims:])
    if any(length % stride for length in size):
        raise ValueError(
            f"input of {size} voxels; every axis must be a multiple of the network's stride, "
            f"{stride}"
        )
