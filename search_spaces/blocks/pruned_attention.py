"""Self-attention whose queries and dependencies are pruned (APFormer, Sec. III)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

from search_spaces.blocks.attention_regularisation import ssa_loss
from search_spaces.blocks.dependency_pruning import DependencyPruning
from search_spaces.blocks.grpe import GRPE
from search_spaces.blocks.prunable import Place, Units
from search_spaces.blocks.query_pruning import KeptQueries, Queries


class PrunedAttention(nn.Module):
    """Multi-head self-attention of those queries that a gate keeps, over what they look at.

    z: (B, N, C) -> (B, N, C), zeros for pruned queries: nothing is projected, compared or summed
    for them (Eq. 12). `queries`: those of the `QueryGate` that saw the same N patches before; None
    asks all of them. `dependencies`: None, or what prunes the rows (Eq. 13, 14). `position`: None,
    or a GRPE, which needs the `size` of the grid. `regularise`: keep the SSA loss of every training
    pass (Eq. 7) until `take_loss`. `head_channels`: C / heads where None. Without any of these it
    computes what `Attention` does. Raises ValueError for another number of patches than the gate's.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        head_channels: int | None = None,
        *,
        bias: bool = True,
        queries: Queries | None = None,
        dependencies: DependencyPruning | None = None,
        position: GRPE | None = None,
        regularise: bool = False,
    ) -> None:
        super().__init__()
        if head_channels is None and channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} heads")
        inner = heads * (head_channels or channels // heads)
        self.heads, self.regularise, self.queries = heads, regularise, queries
        self.qkv = nn.Linear(channels, 3 * inner, bias=bias)
        self.project = nn.Linear(inner, channels)
        self.dependencies, self.position = dependencies, position
        self._loss: torch.Tensor | None = None

    def forward(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        kept = self._kept(z)
        q, k, v = self._project(z, kept)
        scores = q @ k.mT * q.shape[-1] ** -0.5  # (B, heads, K, N)
        if self.position is not None:
            assert size is not None
            scores = scores + self.position(size, None if kept is None else kept.index)
        if mask is not None:
            allowed = mask if kept is None else kept.take(mask)
            scores = scores.masked_fill(~allowed[:, None], -torch.inf)
        if self.training and self.regularise:
            self._loss = ssa_loss(scores.softmax(-1), kept)
        if self.dependencies is None:
            weights = scores.softmax(-1)
        else:
            weights = self.dependencies(scores, q, None if kept is None else kept.valid)
        # Positions and thresholds are in single precision, whatever the precision of the values.
        mixed = self.project((weights.to(v.dtype) @ v).transpose(1, 2).flatten(2))
        return mixed if kept is None else kept.put_back(mixed)

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        """The products of the K queries that are kept; where a gate keeps some, their projection,
        and that of all keys and values, by parts of a weight whose layer is not called."""
        batch, tokens, channels = inputs[0].shape
        inner = self.project.in_features
        kept = None if self.queries is None else self.queries.kept
        if kept is None:
            return 2 * batch * tokens**2 * inner
        asking = kept.index.shape[1]
        return batch * inner * (2 * asking * tokens + (asking + 2 * tokens) * channels)

    def prunable(self) -> dict[str, Units]:
        width = self.project.in_features // self.heads
        made = [Place(self.qkv, before=3, after=width)]
        made += [] if self.position is None else [Place(self.position)]
        return {
            "heads": Units(
                "heads",
                self.heads,
                made=tuple(made),
                read=(Place(self.project, after=width),),
                counts=((self, "heads"),),
            )
        }

    def take_loss(self) -> torch.Tensor | None:
        """The SSA loss of the last training pass, once."""
        loss, self._loss = self._loss, None
        return loss

    def _kept(self, z: torch.Tensor) -> KeptQueries | None:
        kept = None if self.queries is None else self.queries.kept
        if kept is not None and (len(kept.index), kept.tokens) != z.shape[:2]:
            raise ValueError(
                f"{z.shape[0]} sets of {z.shape[1]} patches; the gate decided for "
                f"{len(kept.index)} of {kept.tokens}"
            )
        return kept

    def _project(self, z: torch.Tensor, kept: KeptQueries | None) -> tuple[torch.Tensor, ...]:
        """q (B, heads, K, C / heads), and k and v (B, heads, N, C / heads)."""
        if kept is None:
            mapped = self.qkv(z).chunk(3, dim=-1)
        else:
            inner = self.qkv.out_features // 3
            weight, bias = self.qkv.weight, self.qkv.bias
            asked, seen = (None, None) if bias is None else (bias[:inner], bias[inner:])
            q = linear(kept.take(z), weight[:inner], asked)
            mapped = (q, *linear(z, weight[inner:], seen).chunk(2, dim=-1))
        return tuple(t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in mapped)
