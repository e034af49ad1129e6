"""Exchange across windows through one token for each."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from search_spaces.blocks.attention import ATTENTION, RECEIVED, product_macs
from search_spaces.blocks.average_pool import avg_pool3d
from search_spaces.blocks.shared_heads import SharedHeads, without_keys
from search_spaces.blocks.windows import numbers


class PooledWindows(nn.Module):
    """Every token attends to the mean token of every window.

    The global sub-sampled attention of Twins (Chu 2021, Sec. 3.2) with mean pooling: N queries, and
    as many keys and values as there are windows. z: (B, N, C) on the grid `size`, or with keys and
    values behind its channels (see `SharedHeads`) -> (B, N, C). Windows at the border are clipped
    to it.
    """

    fixes_patch: ClassVar[bool] = True  # see search_spaces.offers

    def __init__(self, attention: SharedHeads, window: int) -> None:
        super().__init__()
        self.attention, self.window = attention, window

    def forward(self, z: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        return self.attention.attend(*self._tokens_and_kv(z, size))

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        """Every token with every window, those at the border clipped."""
        windows = [-(-length // min(self.window, length)) for length in inputs[1]]
        width = self.attention.heads * self.attention.head_width
        return product_macs(output, width, keys=math.prod(windows))

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`. Every token shows its window's."""
        z, size = inputs
        received = self.attention.looked_at(*self._tokens_and_kv(z, size))  # (B, windows)
        window = [min(self.window, length) for length in size]
        counts = [-(-length // w) for length, w in zip(size, window, strict=True)]
        received = received.unflatten(1, counts)
        for axis, (length, w) in enumerate(zip(size, window, strict=True), start=1):
            received = received.repeat_interleave(w, dim=axis).narrow(axis, 0, length)
        return {ATTENTION: {RECEIVED: received}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def uniform(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            tokens, kv = self._tokens_and_kv(*inputs)
            return self.attention.attend(tokens, without_keys(kv))

        return {ATTENTION: {"to all alike": uniform}}

    def _tokens_and_kv(
        self, z: torch.Tensor, size: tuple[int, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = z[..., : self.attention.channels]
        if self.attention.keys_values is None:
            return tokens, self._pool(z[..., tokens.shape[-1] :], size)
        return tokens, self.attention.keys_values(self._pool(z, size))

    def _pool(self, z: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        """(B, N, C) -> (B, windows, C)."""
        size = numbers(size)
        window = [min(self.window, length) for length in size]
        pool = avg_pool3d if len(size) == 3 else avg_pool2d
        grid = z.transpose(1, 2).unflatten(2, size)
        means = pool(grid, window, ceil_mode=True, count_include_pad=False)
        return means.flatten(2).transpose(1, 2)
