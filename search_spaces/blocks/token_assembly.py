"""Multi-layer token assembly (MTA; Zhou 2023, Sec. 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from search_spaces.blocks.token_pruning import TOKEN_PRUNING

Dropped = Sequence[tuple[torch.Tensor, torch.Tensor]]


class TokenAssembly(nn.Module):
    """Puts survivors and pruned tokens back in spatial order (Eq. 3, before its transformer).

    A learned token per pruning place tells where a token was dropped; `position` is added to all.
    `survivors`: (B, K, C) at `index` (B, K); `dropped`: one (tokens, index) pair a pruning place,
    in order. All indices together are a permutation of the N places. Returns (B, N, C).
    """

    def __init__(self, channels: int, places: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(places, channels))
        nn.init.trunc_normal_(self.place, std=0.02)

    def forward(
        self,
        survivors: torch.Tensor,
        index: torch.Tensor,
        dropped: Dropped,
        position: torch.Tensor,
    ) -> torch.Tensor:
        marked = [tokens + self.place[i] for i, (tokens, _) in enumerate(dropped)]
        tokens = torch.cat([survivors, *marked], dim=1)
        places = torch.cat([index, *(where for _, where in dropped)], dim=1)
        back = places.argsort(dim=1)[..., None].expand_as(tokens)
        return tokens.gather(1, back) + position

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        return {TOKEN_PRUNING: where_dropped(inputs[1], inputs[2])}


def where_dropped(index: torch.Tensor, dropped: Dropped) -> dict[str, torch.Tensor]:
    """For every token, (B, N) of 0 and 1: whether it was kept to the end, or at which pruning place
    it was dropped. `index`: (B, K) of those kept; `dropped`: as in `TokenAssembly`."""
    tokens = index.shape[1] + sum(where.shape[1] for _, where in dropped)
    place = index.new_zeros((len(index), tokens))
    for number, (_, where) in enumerate(dropped, start=1):
        place = place.scatter(1, where, number)
    names = ["kept", *(f"dropped at place {number}" for number in range(1, 1 + len(dropped)))]
    return {name: (place == number).float() for number, name in enumerate(names)}
