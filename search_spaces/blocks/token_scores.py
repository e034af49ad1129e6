"""How much each token matters, predicted from itself and from all of them."""

from __future__ import annotations

import torch
from torch import nn


class TokenScores(nn.Module):
    """Logits of the scores MLP2([z, mean(MLP1(z))]) (Zhou 2023, Eq. 1, before the sigmoid).

    z: (B, N, C) -> (B, N). The widths are those of DynamicViT (Rao 2021, Sec. 3.2), which the paper
    follows: MLP1 is C -> C, MLP2 has hidden layers of C / 2 and C / 4, tokens are normalised first.
    The half of MLP2's first layer that reads the mean runs once a volume, not once a token.
    `weight`: (B, N), the share of each token in the mean; all the same where it is None.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = max(channels // 2, 1), max(channels // 4, 1)
        self.norm = nn.LayerNorm(channels)
        self.local = nn.Sequential(nn.Linear(channels, channels), nn.GELU())
        self.own = nn.Linear(channels, half)
        self.shared = nn.Linear(channels, half, bias=False)
        self.score = nn.Sequential(
            nn.GELU(), nn.Linear(half, quarter), nn.GELU(), nn.Linear(quarter, 1)
        )

    def forward(self, z: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        z = self.norm(z)
        local = self.local(z)
        if weight is None:
            mean = local.mean(1, keepdim=True)
        else:
            share = weight / weight.sum(1, keepdim=True).clamp(min=1.0)
            mean = share[:, None] @ local  # (B, 1, C)
        return self.score(self.own(z) + self.shared(mean)).squeeze(-1)
