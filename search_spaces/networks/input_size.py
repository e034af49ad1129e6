"""The one condition that a network puts on its input."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from search_spaces.axes import by_axis


def check_size(x: torch.Tensor, strides: Sequence[int]) -> None:
    """Raises ValueError where one of the last axes of x is no multiple of its stride."""
    size = tuple(x.shape[-len(strides) :])
    if any(length % stride for length, stride in zip(size, strides, strict=True)):
        raise ValueError(
            f"input of {size} voxels; every axis must be a multiple of the network's stride, "
            f"{by_axis(strides)}"
        )
