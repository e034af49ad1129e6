"""Rotated and scaled patches, read out of whole volumes so that no corner is missing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

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
    another. nnU-Net goes by the patch alone, along the axis of the longest voxels.
    """
    for lengths in (voxel_size, [1 / size for size in patch]):
        if lengths and max(lengths) > COARSE * min(lengths):
            return int(np.argmax(lengths))
    return None


def draw_matrix(preset: Preset, coarse: int | None, rng: np.random.Generator) -> np.ndarray | None:
    """The (3, 3) matrix of a rotation and a scaling, or None where neither was drawn."""
    if coarse is None and not preset.rotation.probability:
        coarse = 2
    rotation, axes = (preset.rotation, range(3)) if coarse is None else (preset.in_plane, [coarse])
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
    around the patch is read of them. What stays in a plane is interpolated there, slice by slice,
    which is the same and takes a tenth of the time.
    """
    axis = _across(turn, patch)
    read = _read_box if axis is None else partial(_read_slices, axis=axis)
    turned = read([image, label[None]], turn, patch)
    return turned[0], turned[1].astype(label.dtype)[0]


def _across(turn: Turn, patch: Sequence[int]) -> int | None:
    """The axis along which voxels of the patch are those of the volume, if there is one."""
    for axis, unit in enumerate(np.eye(3)):
        start = turn.middle[axis] - (patch[axis] - 1) / 2
        both = np.stack([turn.matrix[axis], turn.matrix[:, axis]])
        if start.is_integer() and (both == unit).all():
            return axis
    return None


def _read_slices(
    both: Sequence[np.ndarray], turn: Turn, patch: Sequence[int], axis: int
) -> list[np.ndarray]:
    """As `_read_box`, of a turn that leaves every slice across `axis` in its place."""
    plane = [other for other in range(3) if other != axis]
    flat = Turn(turn.matrix[np.ix_(plane, plane)], turn.middle[plane])
    start = int(turn.middle[axis] - (patch[axis] - 1) / 2)
    low, high = max(start, 0), min(start + patch[axis], both[0].shape[axis + 1])
    slices = [np.moveaxis(values, axis + 1, 1)[:, low:high] for values in both]
    whole = [np.zeros((len(values), *patch), np.float32) for values in both]
    turned = _read_box(slices, flat, [patch[other] for other in plane])
    for into, values in zip(whole, turned, strict=True):
        np.moveaxis(into, axis + 1, 1)[:, low - start : high - start] = values
    return whole


def _read_box(both: Sequence[np.ndarray], turn: Turn, patch: Sequence[int]) -> list[np.ndarray]:
    """(..., *patch) of image and label, whose last dimensions are the patch's and the turn's."""
    size, edges = np.array(both[0].shape[-len(patch) :]), np.array(patch)
    reach = np.abs(turn.matrix) @ ((edges - 1) / 2)
    low = np.floor(turn.middle - reach).astype(int).clip(0, size - 1)
    high = np.minimum(np.ceil(turn.middle + reach).astype(int) + 1, size)
    box: Any = (..., *(slice(a, b) for a, b in zip(low, high, strict=True)))
    # `grid_sample` counts from -1 to 1 from edge to edge, and the axes backwards. The sum of what
    # each axis adds is there several times as fast as `affine_grid`.
    scale = 2 / (high - low)
    matrix = (turn.matrix * scale[:, None])[::-1]
    grid = ((turn.middle - low + 0.5) * scale - 1)[::-1].reshape(-1, *[1] * len(patch))
    grid = grid.astype(np.float32)
    for axis, length in enumerate(patch):
        added = np.outer(matrix[:, axis], np.arange(length) - (length - 1) / 2)
        along = [length if other == axis else 1 for other in range(len(patch))]
        grid = grid + added.reshape(-1, *along).astype(np.float32)
    coordinates = torch.from_numpy(grid).movedim(0, -1)
    regions = [values[box].astype(np.float32, order="C") for values in both]
    return [
        F.grid_sample(
            torch.from_numpy(region).view(1, -1, *region.shape[-len(patch) :]),
            coordinates[None],
            mode,
            "zeros",
            align_corners=False,
        )
        .view(*region.shape[: -len(patch)], *patch)
        .numpy()
        for region, mode in zip(regions, ("bilinear", "nearest"), strict=True)
    ]
