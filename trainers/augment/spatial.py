"""Rotated and scaled patches, read out of whole volumes so that no corner is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.augment.presets import Preset

COARSE = 3.0  # nnU-Net's ANISO_THRESHOLD


class Turn(NamedTuple):
    """Where a patch is in its volume: voxel x of the patch, counted from the patch's middle, is at
    `middle + matrix @ x`, voxels of the volume. `matrix`: (3, 3), `middle`: (3,)."""

    matrix: np.ndarray
    middle: np.ndarray


def coarse_axis(patch: Sequence[int], voxel_size: Sequence[float] | None) -> int | None:
    """The axis out of whose plane nothing is rotated or scaled, if there is one.

    It is that of the longest voxels where they are over three times as long as the shortest, and
    else that along which the patch has the fewest voxels, over three times fewer than it has along
    another: nnU-Net's rule for its two-dimensional augmentation of three-dimensional patches.
    """
    for lengths in (voxel_size, [1 / size for size in patch]):
        if lengths and max(lengths) > COARSE * min(lengths):
            return int(np.argmax(lengths))
    return None


def draw_matrix(preset: Preset, coarse: int | None, rng: np.random.Generator) -> np.ndarray | None:
    """The (3, 3) matrix of a rotation and a scaling, or None where neither was drawn."""
    free = coarse is None and preset.rotation.probability > 0
    rotation = preset.rotation if free else preset.in_plane
    axes = (0, 1, 2) if free else (2 if coarse is None else coarse,)
    matrix = np.eye(3)
    if rotates := rotation.happens(rng):
        for axis in axes:
            matrix = _about(axis, np.deg2rad(rotation.strength(rng))) @ matrix
    if scales := preset.scaling.happens(rng):
        factor = preset.scaling.strength(rng)
        matrix = matrix @ np.diag([1.0 if axis == coarse else factor for axis in range(3)])
    return matrix if rotates or scales else None


def _about(axis: int, angle: float) -> np.ndarray:
    i, j = (other for other in range(3) if other != axis)
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i] = np.sin(angle)
    matrix[i, j] = -np.sin(angle)
    return matrix


def read_turned(
    image: np.ndarray, label: np.ndarray, turn: Turn, patch: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Image (C, *patch) and label (*patch) of a patch, 0 where it reaches out of its volume.

    image: (C, D, H, W), interpolated linearly; label: (D, H, W), its nearest voxels. Only the box
    around the patch is read of them.
    """
    size, edges = np.array(label.shape), np.array(patch)
    reach = np.abs(turn.matrix) @ ((edges - 1) / 2)
    low = np.floor(turn.middle - reach).astype(int).clip(0, size - 1)
    high = np.minimum(np.ceil(turn.middle + reach).astype(int) + 1, size)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    # In the box as in the patch, `grid_sample` counts from -1 to 1, and the axes backwards.
    matrix = turn.matrix * edges / (high - low)[:, None]
    middle = (2 * (turn.middle - low) + 1) / (high - low) - 1
    theta = np.column_stack([matrix[::-1, ::-1], middle[::-1]]).astype(np.float32)
    grid = F.affine_grid(torch.from_numpy(theta)[None], [1, 1, *patch], align_corners=False)
    turned = _sample(image[:, *box], grid, "bilinear"), _sample(label[None, *box], grid, "nearest")
    return turned[0].numpy(), turned[1].numpy().astype(label.dtype)[0]


def _sample(region: np.ndarray, grid: Tensor, mode: str) -> Tensor:
    values = torch.from_numpy(region.astype(np.float32))
    return F.grid_sample(values[None], grid, mode, "zeros", align_corners=False)[0]
