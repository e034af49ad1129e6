"""Gaussian-prior relative position embedding (GRPE; APFormer, Sec. III-B2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from search_spaces.blocks.exporting import kept

WIDEST = 0.6  # the widest head's Gaussian at the start, in grids


class GRPE(nn.Module):
    """A Gaussian of the patches' distance plus a table of their offset (APFormer, Eq. 8 and 9).

    `reach`: the width, in patches, of the largest grid whose offsets all have entries of their own
    in the table. Grids of other sizes read the same entries; offsets beyond the reach read the
    outermost ones. `shared`: one table for all heads, of the (2 reach)^n entries of Eq. 9 (with a
    Gaussian width a head, the paper's 4N + h parameters in 2D); else one a head, of
    (2 reach - 1)^n entries, which is what the published parameter count holds. The Gaussian's width
    theta is kept in units of `reach`, and starts narrow in the first head and wide in the last.
    """

    def __init__(self, spatial_dims: int, heads: int, reach: int, shared: bool = False) -> None:
        super().__init__()
        self.reach, self.side = reach, 2 * reach if shared else 2 * reach - 1
        self.theta = nn.Parameter(WIDEST * torch.arange(1, heads + 1) / heads)
        self.table = nn.Parameter(torch.zeros(self.side**spatial_dims, 1 if shared else heads))

    def forward(self, size: tuple[int, ...], rows: torch.Tensor | None = None) -> torch.Tensor:
        """What to add to the attention scores of a grid of N = prod(size) patches.

        Returns (1, heads, N, N); for the queries at `rows` (B, K) alone, (B, heads, K, N).
        """
        entry, distance = _offsets(tuple(size), self.reach, self.side, str(self.table.device))
        if rows is None:
            entry, distance = entry[None], distance[None]
        else:
            entry, distance = entry[rows], distance[rows]
        relative = nn.functional.embedding(entry, self.table).permute(0, 3, 1, 2)
        width = (2 * (self.theta * self.reach).square() + 1e-6)[:, None, None]
        return torch.exp(-distance[:, None] / width) + relative

    def keep_heads(self, kept: Sequence[int]) -> None:
        """Take out all heads but these; a table that all of them share stays."""
        heads = list(kept)
        if self.table.shape[1] > 1:
            self.table = nn.Parameter(self.table.detach()[:, heads])
        self.theta = nn.Parameter(self.theta.detach()[heads])


@kept(8)
def _offsets(
    size: tuple[int, ...], reach: int, side: int, device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of every pair of patches: the table's entry, and the squared distance in patches; (N, N)."""
    entry = torch.zeros((), dtype=torch.long, device=device)
    distance = torch.zeros((), device=device)
    for axis, length in enumerate(size):
        shape = [1] * len(size)
        shape[axis] = length
        place = torch.arange(length, device=device).view(shape).expand(size).flatten()
        offset = place[:, None] - place[None, :]
        entry = entry * side + offset.clamp(1 - reach, reach - 1) + side - reach
        distance = distance + offset.square()
    return entry, distance
