"""Overlapping windows: every window looks over its borders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.functional import pad

from search_spaces.blocks.attention import ATTENTION, RECEIVED
from search_spaces.blocks.exporting import kept
from search_spaces.blocks.shared_heads import SharedHeads, without_keys
from search_spaces.blocks.windows import Tiling


class HaloWindows(nn.Module):
    """The tokens of a window attend to it and to `halo` tokens more on every side of it.

    HaloNet's blocked local attention (Vaswani 2021, Sec. 3.1), without its position embedding:
    queries are in disjoint windows, keys and values in overlapping ones, each projected once. What
    lies outside of the grid is masked. z: (B, N, C) on the grid `size`, or with keys and values
    behind its channels (see `SharedHeads`) -> (B, N, C).
    """

    fixes_patch: ClassVar[bool] = True  # see search_spaces.offers

    def __init__(self, attention: SharedHeads, window: int, halo: int) -> None:
        super().__init__()
        self.attention, self.window, self.halo = attention, window, halo

    def forward(self, z: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        tiling = Tiling.of(size, self.window)
        return tiling.joined(self.attention.attend(*self._windows(z, tiling)))

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        """Every token of a window, filling included, with all that its window sees."""
        tiling = Tiling.of(inputs[1], self.window)
        sides = zip(tiling.window, self._halo(tiling), strict=True)
        width = self.attention.heads * self.attention.head_width
        return tiling.product_macs(output, width, keys=math.prod(w + 2 * h for w, h in sides))

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`: what a token receives from all windows that see it."""
        z, size = inputs
        tiling = Tiling.of(size, self.window)
        own, seen, mask = self._windows(z, tiling)
        if mask is not None:
            mask = mask.expand(-1, own.shape[1], -1)
        received = self.attention.looked_at(own, seen, mask) * own.shape[1] / seen.shape[1]
        places = _overlapping(tiling.places(z.device), tiling.window, self._halo(tiling))
        places = places.view(1, -1).expand(len(z), -1)
        return {ATTENTION: {RECEIVED: tiling.summed(received.view(len(z), -1), places)}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def uniform(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            z, size = inputs
            tiling = Tiling.of(size, self.window)
            own, seen, mask = self._windows(z, tiling)
            return tiling.joined(self.attention.attend(own, without_keys(seen), mask))

        return {ATTENTION: {"to all alike": uniform}}

    def _windows(
        self, z: torch.Tensor, tiling: Tiling
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Queries, what they see, and the mask where one is needed, as `attend` takes them."""
        tokens, kv = self.attention.keys_values_of(z)
        halo = self._halo(tiling)
        seen = _overlapping(tiling.filled(kv), tiling.window, halo)
        mask = None
        if tiling.is_filled or any(halo):
            mask = _inside(tiling.size, tiling.window, halo, str(z.device)).repeat(len(z), 1, 1)
        return tiling.parts(tokens), seen, mask

    def _halo(self, tiling: Tiling) -> tuple[int, ...]:
        """Nothing is beyond a window that is as long as the axis."""
        sides = zip(tiling.window, tiling.size, strict=True)
        return tuple(self.halo if w < length else 0 for w, length in sides)


def _overlapping(x: torch.Tensor, window: Sequence[int], halo: Sequence[int]) -> torch.Tensor:
    """(B, *S, C) -> (B * windows, prod(window + 2 halo), C); zeros outside of the grid."""
    n = len(window)
    if any(halo):
        x = pad(x, [0, 0, *(h for side in reversed(halo) for h in (side, side))])
    for axis, (w, h) in enumerate(zip(window, halo, strict=True), start=1):
        x = x.unfold(axis, w + 2 * h, w)
    x = x.movedim(n + 1, -1)  # (B, *windows, *(window + 2 halo), C)
    return x.flatten(n + 1, 2 * n).flatten(0, n)


@kept(64)
def _inside(
    size: tuple[int, ...], window: tuple[int, ...], halo: tuple[int, ...], device: str
) -> torch.Tensor:
    """(windows, 1, prod(window + 2 halo)) bool: which of what a window sees is on the grid."""
    grid = torch.ones(1, *size, 1, device=device)
    filled = Tiling(size, window).filled(grid.flatten(1, -2))
    return _overlapping(filled, window, halo).squeeze(-1)[:, None] > 0
