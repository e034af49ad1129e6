"""Multi-layer token assembly (MTA; Zhou 2023, Sec. 2.2)."""

from __future__ import annotations

import torch
from torch import nn


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
        dropped: list[tuple[torch.Tensor, torch.Tensor]],
        position: torch.Tensor,
    ) -> torch.Tensor:
        marked = [tokens + self.place[i] for i, (tokens, _) in enumerate(dropped)]
        tokens = torch.cat([survivors, *marked], dim=1)
        places = torch.cat([index, *(where for _, where in dropped)], dim=1)
        back = places.argsort(dim=1)[..., None].expand_as(tokens)
        return tokens.gather(1, back) + position
