"""Average pooling as a token mixer (PoolFormer; Yu 2022)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, pad

from search_spaces.blocks.average_pool import avg_pool3d

KERNEL = 3  # tokens along an axis of a neighbourhood


class Pooling(nn.Module):
    """The mean of a token's neighbourhood on the grid, less the token (Yu 2022, Eq. 4).

    z: (B, N, C) with N = prod(size), of two or three axes -> (B, N, C). Beyond the border there is
    nothing to average. It has no parameters. Raises ValueError where the tokens fill no grid, or
    where a mask would cut through neighbourhoods.
    """

    def forward(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if size is None or mask is not None:
            raise ValueError("pooling mixes neighbours on a whole grid: it needs a size, no mask")
        pool = avg_pool3d if len(size) == 3 else avg_pool2d
        # torch's own padding wants axes as long as the kernel.
        border = [KERNEL // 2] * (2 * len(size))
        grid = z.transpose(1, 2).unflatten(2, size)  # (B, C, *size)
        inside = pool(pad(grid.new_ones((1, 1, *size)), border), KERNEL, 1)
        mean = pool(pad(grid, border), KERNEL, 1) / inside
        return mean.flatten(2).transpose(1, 2) - z
