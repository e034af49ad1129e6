"""Soft top-K token pruning (STP; Zhou 2023, Sec. 2.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class Pruned(NamedTuple):
    """`kept`: (B, K, C), `dropped`: (B, N - K, C), and where each stood among the N tokens."""

    kept: torch.Tensor
    dropped: torch.Tensor
    kept_index: torch.Tensor
    dropped_index: torch.Tensor


class SoftTopK(nn.Module):
    """Keeps the K = int((1 - ratio) N) tokens, at least one, with the highest predicted scores.

    Training draws them by Gumbel noise with a straight-through softmax gradient at temperature
    `tau` (Eq. 2); inference is a plain top-K. z: (B, N, C) -> Pruned. Both index sets are in
    ascending order. The scores are Eq. 1: sigmoid(MLP2([z, mean(MLP1(z))])).
    """

    def __init__(self, channels: int, ratio: float, tau: float = 1.0) -> None:
        super().__init__()
        if not 0 < ratio < 1:
            raise ValueError(f"pruning ratio {ratio} is not between 0 and 1")
        self.ratio, self.tau = ratio, tau
        self.local = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, channels), nn.GELU())
        hidden = max(channels // 2, 1)
        self.score = nn.Sequential(nn.Linear(2 * channels, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, z: torch.Tensor) -> Pruned:
        n = z.shape[1]
        keep = max(1, int((1 - self.ratio) * n + 1e-6))  # 0.9 of 10 leaves 1, whatever the rounding
        mean = self.local(z).mean(1, keepdim=True).expand_as(z)
        logits = self.score(torch.cat([z, mean], dim=-1)).squeeze(-1)
        log_scores = nn.functional.logsigmoid(logits)  # (B, N)
        if self.training:
            noise = torch.empty_like(log_scores).exponential_().log()  # -Gumbel(0, 1)
            log_scores = log_scores - noise
        order = log_scores.argsort(dim=1, descending=True)
        kept_index = order[:, :keep].sort(dim=1).values
        dropped_index = order[:, keep:].sort(dim=1).values
        kept = take(z, kept_index)
        if self.training:
            soft = (log_scores / self.tau).softmax(1).gather(1, kept_index)
            kept = kept * (1 + soft - soft.detach())[..., None]
        return Pruned(kept, take(z, dropped_index), kept_index, dropped_index)


def take(z: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The tokens of z (B, N, C) at index (B, K): (B, K, C)."""
    return z.gather(1, index[..., None].expand(-1, -1, z.shape[-1]))
