"""Multi-head self-attention."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from search_spaces.blocks.prunable import Place, Units

ATTENTION = "attention"  # the mechanism; see `search_spaces.offers`
RECEIVED = "received, 1 on average"
WEIGHTS = 2**24  # attention weights that are held at once


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani 2017).

    z: (B, N, C) -> (B, N, C). `mask`: (B, N, N), True where a token may look at another. Raises
    ValueError where the channels do not divide into the heads.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} heads")
        self.heads, self.head_width = heads, channels // heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        q, k, v = self._heads(z)
        return self._mixed(q, k, v, mask)

    def received(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """How much each token is looked at, called as `forward`; see `looked_at`."""
        q, k, _ = self._heads(z)
        return looked_at(q, k, mask)

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        return {ATTENTION: {RECEIVED: on_grid(self.received(*inputs), *inputs[1:2])}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def uniform(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            q, k, v = self._heads(inputs[0])
            return self._mixed(torch.zeros_like(q), k, v, *inputs[2:3])

        return {ATTENTION: {"to all alike": uniform}}

    def _heads(self, z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """q, k and v, (B, heads, N, C / heads) each."""
        return self.qkv(z).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()

    def _mixed(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        where = None if mask is None else mask[:, None]
        mixed = scaled_dot_product_attention(q, k, v, where)  # (B, heads, N, C / heads)
        return self.project(mixed.transpose(1, 2).flatten(2))

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        return product_macs(output, self.heads * self.head_width, keys=output.shape[1])

    def prunable(self) -> dict[str, Units]:
        return {
            "heads": Units(
                "heads",
                self.heads,
                made=(Place(self.qkv, before=3, after=self.head_width),),
                read=(Place(self.project, after=self.head_width),),
                counts=((self, "heads"),),
            )
        }


def product_macs(output: torch.Tensor, width: int, keys: int) -> int:
    """Multiply-accumulates of Q K^T and of its product with V: output (B, N, C), heads that are
    `width` wide together, every one of the N tokens looking at `keys` others."""
    batch, tokens = output.shape[:2]
    return 2 * batch * tokens * width * keys


def looked_at(q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """The attention that each token receives, the mean over heads and queries, 1 on average.

    q: (B, heads, Q, C / heads), k: (B, heads, N, C / heads), mask: (B, Q, N) -> (B, N).
    """
    batch, heads, asking, width = q.shape
    total = k.new_zeros((batch, k.shape[2]))
    step = max(1, WEIGHTS // (batch * heads * k.shape[2]))
    for first in range(0, asking, step):
        scores = q[:, :, first : first + step] @ k.mT * width**-0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, first : first + step], -math.inf)
        total = total + scores.softmax(-1).sum((1, 2))
    return total * k.shape[2] / (heads * asking)


def on_grid(values: torch.Tensor, size: tuple[int, ...] | None = None) -> torch.Tensor:
    """(B, N) of the tokens that fill a grid of that size -> (B, *size); without one as it is."""
    return values if size is None else values.unflatten(1, size)
