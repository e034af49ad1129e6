"""Sparse attention: every window looks at the few windows that matter most to it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import nn

from search_spaces.blocks.attention import ATTENTION, RECEIVED
from search_spaces.blocks.exporting import kept
from search_spaces.blocks.shared_heads import SharedHeads, without_keys
from search_spaces.blocks.token_pruning import take
from search_spaces.blocks.windows import Tiling, partition


class TopWindows(nn.Module):
    """The tokens of a window attend to all of its own and of the `top` - 1 windows nearest to it.

    The bi-level routing attention of BiFormer (Zhu 2023, Sec. 3.2), with the own window always
    among them: near is what has the largest product of its mean key with the window's mean query,
    summed over the heads. The choice has no weights of its own and no gradient. With as many as
    there are, attention is that to all tokens. z: (B, N, C) on the grid `size`, or with keys and
    values behind its channels (see `SharedHeads`) -> (B, N, C).
    """

    fixes_patch: ClassVar[bool] = True  # see search_spaces.offers

    def __init__(self, attention: SharedHeads, window: int, top: int) -> None:
        super().__init__()
        self.attention, self.window, self.top = attention, window, top

    def forward(self, z: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        tiling = Tiling.of(size, self.window)
        own, seen, mask, _ = self._windows(z, tiling)
        return tiling.joined(self.attention.attend(own, seen, mask))

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        """Every token of a window, filling included, with those of `top` windows; and every mean
        query with every mean key."""
        tiling = Tiling.of(inputs[1], self.window)
        windows, attention = tiling.windows, self.attention
        keys = min(self.top, windows) * math.prod(tiling.window)
        mean_width = attention.kv_heads * attention.head_width
        choosing = len(output) * windows**2 * mean_width if self.top < windows else 0
        width = attention.heads * attention.head_width
        return tiling.product_macs(output, width, keys) + choosing

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`: what a token receives from all windows that see it."""
        z, size = inputs
        tiling = Tiling.of(size, self.window)
        own, seen, mask, chosen = self._windows(z, tiling)
        if mask is not None:
            mask = mask.expand(-1, own.shape[1], -1)
        received = self.attention.looked_at(own, seen, mask) * own.shape[1] / seen.shape[1]
        places = partition(tiling.places(z.device), tiling.window).squeeze(-1)[chosen].flatten(1)
        return {ATTENTION: {RECEIVED: tiling.summed(received.view(len(z), -1), places)}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`. The windows are those that were chosen."""

        def uniform(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            z, size = inputs
            tiling = Tiling.of(size, self.window)
            own, seen, mask, _ = self._windows(z, tiling)
            return tiling.joined(self.attention.attend(own, without_keys(seen), mask))

        return {ATTENTION: {"to all alike": uniform}}

    def _windows(
        self, z: torch.Tensor, tiling: Tiling
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Queries, what they see, and the mask where one is needed, as `attend` takes them; and
        the windows that were chosen, (B, windows, top)."""
        tokens, kv = self.attention.keys_values_of(z)
        own, windows = tiling.parts(tokens), tiling.parts(kv).unflatten(0, (len(z), -1))
        inside = None
        if tiling.is_filled:
            inside = _inside(tiling.size, tiling.window, str(z.device))  # (windows, n)
        chosen = self._chosen(own.detach().unflatten(0, (len(z), -1)), windows.detach(), inside)
        taken = take(windows.flatten(2), chosen.flatten(1))  # (B, windows * top, n * K)
        seen = taken.view(len(own), -1, kv.shape[-1])  # (B * windows, top * n, K)
        mask = None if inside is None else inside[chosen].flatten(2).flatten(0, 1)[:, None]
        return own, seen, mask, chosen

    def _chosen(
        self, own: torch.Tensor, windows: torch.Tensor, inside: torch.Tensor | None
    ) -> torch.Tensor:
        """Of own (B, windows, n, C), windows (B, windows, n, K) -> (B, windows, top) places."""
        batch, count = own.shape[:2]
        if self.top >= count:
            return torch.arange(count, device=own.device).expand(batch, count, -1)
        mean, there = own.mean(2), windows.mean(2)
        if inside is not None:
            share = (inside / inside.sum(1, keepdim=True))[..., None].to(own.dtype)
            mean, there = (own * share).sum(2), (windows * share).sum(2)
        groups = self.attention.kv_heads
        q = self.attention.query(mean).unflatten(-1, (groups, self.attention.heads // groups, -1))
        k = there.unflatten(-1, (2, -1))[:, :, 0]  # (B, windows, groups * d)
        near = q.sum(3).flatten(2) @ k.mT  # (B, windows, windows)
        itself = torch.eye(count, dtype=torch.bool, device=near.device)
        return near.masked_fill(itself, torch.inf).topk(self.top, sorted=False).indices


@kept(64)
def _inside(size: tuple[int, ...], window: tuple[int, ...], device: str) -> torch.Tensor:
    """(windows, n) bool for windows of n tokens: which of them are on the grid."""
    grid = torch.ones(1, *size, 1, device=device)
    filled = Tiling(size, window).filled(grid.flatten(1, -2))
    return partition(filled, window).squeeze(-1) > 0
