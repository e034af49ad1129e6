"""Multi-head self-attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from search_spaces.blocks.prunable import Place, Units


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
        q, k, v = self.qkv(z).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
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
