"""Gaussian-prior relative position embedding (GRPE; APFormer, Sec. III-B2)."""

from __future__ import annotations

import torch
from torch import nn

from search_spaces.blocks.exporting import kept

WIDEST = 0.6  # the widest head's Gaussian at the start, in grids


class GRPE(nn.Module):
    """A Gaussian of the patches' distance plus a table of their offset (APFormer, Eq. 8 and 9).

    `reach`: width in patches of the grid whose offsets the table holds. An offset means the same
    distance in the image at any size, so other grids read the same entries, and those beyond the
    reach the outermost. `shared`: one table for all heads, the (2 reach)^n entries of Eq. 9, which
    with a width a head is the paper's 4N + h in two dimensions; else a table of (2 reach - 1)^n
    entries a head, the form in which relative tables are usual and to which the published parameter
    count belongs. The Gaussian's width theta is kept in units of `reach`; it starts from a narrow
    head to a wide one.
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
