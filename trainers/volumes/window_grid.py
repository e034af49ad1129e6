"""Where sliding windows lie and how much their voxels weigh, as MONAI has it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch

SIGMA = 0.125  # of a window's length
LEAST = 1e-3  # weight, so that a corner that one window alone has counts


def window_places(
    sizes: Sequence[int], patch: Sequence[int], overlap: float
) -> list[tuple[slice, ...]]:
    """Windows that cover a volume of these sizes, none smaller than the patch, the last axis first.

    overlap: the share of its length that a window has in common with the next; the last along an
    axis ends with the volume.
    """
    starts = []
    for size, length in zip(sizes, patch, strict=True):
        interval = window_interval(length, overlap)
        inner = range(0, size - length, interval)
        starts.append([*inner, size - length])
    return [
        tuple(slice(start, start + length) for start, length in zip(corner, patch, strict=True))
        for corner in product(*starts)
    ]


def window_interval(length: int, overlap: float) -> int:
    """Voxels from one window of that length to the next."""
    return max(int(length * (1 - overlap)), 1)


def gaussian_weights(patch: Sequence[int], device: torch.device) -> torch.Tensor:
    """How much each voxel of a window counts: (D, H, W), 1 at most, least at its corners."""
    weights = torch.ones((), device=device)
    for length in patch:
        reach = (length - 1) / 2
        x = torch.arange(-reach, reach + 1, dtype=torch.float, device=device)
        weights = weights.unsqueeze(-1) * torch.exp(x**2 / (-2 * (length * SIGMA) ** 2))
    return weights.clamp(min=weights.min().clamp(min=LEAST))
