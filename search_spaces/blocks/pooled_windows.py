"""Exchange across windows through one token for each."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, avg_pool3d

from search_spaces.blocks.attention import product_macs
from search_spaces.blocks.shared_heads import SharedHeads
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
        tokens = z[..., : self.attention.channels]
        if self.attention.keys_values is None:
            return self.attention.attend(tokens, self._pool(z[..., tokens.shape[-1] :], size))
        return self.attention.attend(tokens, self.attention.keys_values(self._pool(z, size)))

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        """Every token with every window, those at the border clipped."""
        windows = [-(-length // min(self.window, length)) for length in inputs[1]]
        width = self.attention.heads * self.attention.head_width
        return product_macs(output, width, keys=math.prod(windows))

    def _pool(self, z: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        """(B, N, C) -> (B, windows, C)."""
        size = numbers(size)
        window = [min(self.window, length) for length in size]
        pool = avg_pool3d if len(size) == 3 else avg_pool2d
        grid = z.transpose(1, 2).unflatten(2, size)
        means = pool(grid, window, ceil_mode=True, count_include_pad=False)
        return means.flatten(2).transpose(1, 2)
