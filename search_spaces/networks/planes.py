"""Volumes through networks of the plane, slice by slice."""

from __future__ import annotations

import torch


def fold_slices(x: torch.Tensor, spatial_dims: int) -> torch.Tensor:
    """(B, C, D, H, W) -> (B D, C, H, W) where `spatial_dims` is 2; any other x as it is."""
    return x.transpose(1, 2).flatten(0, 1) if x.dim() == spatial_dims + 3 else x


def unfold_slices(y: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The inverse of `fold_slices`, where `like` is what was folded."""
    if y.dim() == like.dim():
        return y
    return y.unflatten(0, (like.shape[0], like.shape[2])).transpose(1, 2)
