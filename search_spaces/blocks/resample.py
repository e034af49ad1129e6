"""Linear interpolation to a given size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import interpolate


def resample(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """(B, C, *S) -> (B, C, *size), trilinear in 3D and bilinear in 2D; the voxels' faces align."""
    if x.shape[2:] == tuple(size):
        return x
    mode = "trilinear" if len(size) == 3 else "bilinear"
    return interpolate(x, tuple(size), mode=mode, align_corners=False)
