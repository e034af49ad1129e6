"""Soft top-K token pruning (STP; Zhou 2023, Sec. 2.1)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from search_spaces.blocks.exporting import exporting

TOKEN_PRUNING = "token pruning"  # the mechanism; see `search_spaces.offers`
LEAST = 2**-24  # above 0 in half precision, which rounds a draw in twenty million to 0


class Pruned(NamedTuple):
    """`kept`: (B, K, C), `dropped`: (B, N - K, C), and where each stood among the N tokens."""

    kept: torch.Tensor
    dropped: torch.Tensor
    kept_index: torch.Tensor
    dropped_index: torch.Tensor


class SoftTopK(nn.Module):
    """Keeps the K = int((1 - ratio) N) tokens, at least one, with the highest predicted scores.

    Training draws them by Gumbel noise with a straight-through softmax gradient at temperature
    `tau` (Eq. 2); inference is a plain top-K. `noise=False` trains by the plain top-K as well, with
    the same gradient (the paper's ST TopK, Table 4c). z: (B, N, C) -> Pruned. Both index sets are
    in ascending order. The scores are Eq. 1: sigmoid(MLP2([z, mean(MLP1(z))])); `scores` is a
    module that gives their logits, (B, N, C) -> (B, N), in place of the built-in two layers.
    """

    def __init__(
        self,
        channels: int,
        ratio: float,
        tau: float = 1.0,
        scores: nn.Module | None = None,
        noise: bool = True,
    ) -> None:
        super().__init__()
        self.noise = noise
        self.ratio, self.tau, self.scores = checked_ratio(ratio), tau, scores
        if scores is None:
            self.local = nn.Sequential(
                nn.LayerNorm(channels), nn.Linear(channels, channels), nn.GELU()
            )
            hidden = max(channels // 2, 1)
            self.score = nn.Sequential(
                nn.Linear(2 * channels, hidden), nn.GELU(), nn.Linear(hidden, 1)
            )

    def forward(self, z: torch.Tensor) -> Pruned:
        logits = self._logits(z)
        kind = torch.promote_types(logits.dtype, torch.float32)  # in half precision many are equal
        log_scores = nn.functional.logsigmoid(logits.to(kind))  # (B, N)
        if self.training and self.noise:
            drawn = torch.empty_like(log_scores).exponential_().clamp_min_(LEAST)
            noise = drawn.log()  # -Gumbel(0, 1)
            log_scores = log_scores - noise
        pruned = keep_highest(z, log_scores, self.ratio)
        if not self.training:
            return pruned
        soft = (log_scores / self.tau).softmax(1).gather(1, pruned.kept_index).to(z.dtype)
        return pruned._replace(kept=pruned.kept * (1 + soft - soft.detach())[..., None])

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""
        return pruned_otherwise(self.ratio)

    def _logits(self, z: torch.Tensor) -> torch.Tensor:
        if self.scores is not None:
            return self.scores(z)
        mean = self.local(z).mean(1, keepdim=True).expand_as(z)
        return self.score(torch.cat([z, mean], dim=-1)).squeeze(-1)


def checked_ratio(ratio: float) -> float:
    """The ratio itself. Raises ValueError where it would prune no token or all."""
    if not 0 < ratio < 1:
        raise ValueError(f"pruning ratio {ratio} is not between 0 and 1")
    return ratio


def keep_highest(z: torch.Tensor, scores: torch.Tensor, ratio: float) -> Pruned:
    """The int((1 - ratio) N) tokens of z (B, N, C), at least one, with the highest scores (B, N).

    Both index sets are in ascending order.
    """
    keep = max(1, int((1 - ratio) * z.shape[1] + 1e-6))  # 0.9 of 10 leaves 1, whatever the rounding
    free = not (exporting() or torch.backends.cudnn.deterministic)  # to keep any of equal scores
    split = split_by_selection if scores.is_cuda and free else split_by_sort
    kept_index, dropped_index = split(scores, keep)
    return Pruned(take(z, kept_index), take(z, dropped_index), kept_index, dropped_index)


def split_by_sort(scores: torch.Tensor, keep: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the `keep` highest scores (B, N) stand, and where the others, both ascending."""
    order = scores.argsort(dim=1, descending=True)
    return order[:, :keep].sort(dim=1).values, order[:, keep:].sort(dim=1).values


def split_by_selection(scores: torch.Tensor, keep: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, with fewer kernels on CUDA: one sort in place of three. Of equal scores that could
    be the last to be kept, any are."""
    highest = scores.topk(keep, dim=1, sorted=False).indices
    dropped = torch.ones_like(scores, dtype=torch.uint8).scatter_(1, highest, 0)
    order = dropped.argsort(dim=1, stable=True)
    return order[:, :keep], order[:, keep:]


def take(z: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The tokens of z (B, N, C) at index (B, K): (B, K, C)."""
    return z.gather(1, index[..., None].expand(-1, -1, z.shape[-1]))


def pruned_otherwise(ratio: float) -> dict[str, dict[str, Any]]:
    """As many tokens of inputs[0] (B, N, C), but any; or none. See `search_spaces.offers`."""

    def any_kept(inputs: tuple[Any, ...], output: Pruned, mean: object) -> Pruned:
        z = inputs[0]
        return keep_highest(z, torch.rand(z.shape[:2], device=z.device), ratio)

    def all_kept(inputs: tuple[Any, ...], output: Pruned, mean: object) -> Pruned:
        z = inputs[0]
        index = torch.arange(z.shape[1], device=z.device).expand(z.shape[0], -1)
        return Pruned(z, z[:, :0], index, index[:, :0])

    return {TOKEN_PRUNING: {"random scores": any_kept, "nothing pruned": all_kept}}
