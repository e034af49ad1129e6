"""Exchange across windows by dilated windows over the whole grid."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import pad

from search_spaces.blocks.exporting import kept
from search_spaces.blocks.windows import numbers, partition, unpartition


class GridWindows(nn.Module):
    """`mixer` in dilated windows: each takes every s-th token of an axis, `window` in all.

    The grid attention of MaxViT (Tu 2022, Sec. 3.2). z: (B, N, C) with N = prod(size) -> (B, N, C).
    The dilation s is what spreads `window` tokens over the axis; an axis that it does not fill is
    filled up, and the filling is masked. The mixer is called as `mixer(z, size, mask)`.
    """

    fixes_patch: ClassVar[bool] = True  # see search_spaces.offers

    def __init__(self, mixer: nn.Module, window: int) -> None:
        super().__init__()
        self.mixer, self.window = mixer, window

    def forward(self, z: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        size = numbers(size)
        window = tuple(min(self.window, length) for length in size)
        full = tuple(length + -length % w for w, length in zip(window, size, strict=True))
        x = z.unflatten(1, size)  # (B, *S, C)
        mask = None
        if full != size:
            filling = [(0, f - length) for f, length in zip(full, size, strict=True)]
            x = pad(x, [0, 0, *(p for pair in reversed(filling) for p in pair)])
            mask = _filling_mask(size, window, str(z.device)).repeat(z.shape[0], 1, 1)
        groups = partition(_interleave(x, window), window)
        mixed = unpartition(self.mixer(groups, window, mask), window, full)
        dilation = tuple(f // w for f, w in zip(full, window, strict=True))
        y = _interleave(mixed, dilation)
        return y[(slice(None), *(slice(length) for length in size))].flatten(1, -2)


def _interleave(x: torch.Tensor, counts: tuple[int, ...]) -> torch.Tensor:
    """(B, *S, C): along each axis token i * S / n + j goes to place j * n + i, n being its count.

    Its own inverse with counts S / n.
    """
    for axis, n in enumerate(counts, start=1):
        x = x.unflatten(axis, (n, -1)).transpose(axis, axis + 1).flatten(axis, axis + 1)
    return x


@kept(64)
def _filling_mask(size: tuple[int, ...], window: tuple[int, ...], device: str) -> torch.Tensor:
    """(groups, n, n) bool: True where both tokens are of the grid, or both fill it up."""
    inside = torch.ones((1, *size, 1), dtype=torch.bool, device=device)
    filling = [-length % w for w, length in zip(window, size, strict=True)]
    inside = pad(inside, [0, 0, *(p for f in reversed(filling) for p in (0, f))])
    ids = partition(_interleave(inside, window), window).squeeze(-1)
    return ids[:, :, None] == ids[:, None, :]
