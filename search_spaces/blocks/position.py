"""Fixed position embeddings."""

from __future__ import annotations

import math

import torch

from search_spaces.blocks.exporting import kept


def sincos_embedding(
    size: tuple[int, ...], channels: int, device: torch.device | None = None
) -> torch.Tensor:
    """Sine and cosine of every axis' coordinate at falling frequencies (Vaswani 2017, Sec. 3.5).

    Returns (1, N, channels) with N = prod(size), in row-major order; channels that do not divide
    into 2 * len(size) equal parts leave zeros at the end. It is made once and kept, though not on
    the meta device, where what lives is counted; nobody may write into it.
    """
    counted = device is not None and device.type == "meta"
    return (_embedding if counted else _kept_embedding)(size, channels, device)


def _embedding(size: tuple[int, ...], channels: int, device: torch.device | None) -> torch.Tensor:
    per_axis = channels // (2 * len(size))
    exponents = torch.arange(per_axis, device=device) / max(per_axis, 1)
    frequencies = torch.exp(-math.log(10_000.0) * exponents)
    parts = []
    for axis, length in enumerate(size):
        angles = torch.arange(length, device=device)[:, None] * frequencies  # (length, per_axis)
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)
        shape = [1] * len(size) + [2 * per_axis]
        shape[axis] = length
        parts.append(waves.view(shape).expand(*size, -1))
    used = torch.cat(parts, dim=-1).flatten(0, -2)  # (N, 2 * axes * per_axis)
    return torch.nn.functional.pad(used, (0, channels - used.shape[1]))[None]


_kept_embedding = kept(8)(_embedding)
