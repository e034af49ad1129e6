"""Self-attention whose heads share their keys and values."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from search_spaces.blocks.attention import (
    ATTENTION,
    RECEIVED,
    looked_at,
    on_grid,
    product_macs,
)
from search_spaces.blocks.mlp import low_rank_linear
from search_spaces.blocks.prunable import Place, Units


class SharedHeads(nn.Module):
    """Attention with a query per head and one key and value for all (Shazeer 2019, Sec. 3).

    z: (B, N, C) -> (B, N, C); `mask`: (B, N, N), True where a token may look at another. `kv_heads`
    keys and values serve `heads` queries, in groups of heads / kv_heads (Ainslie 2023): 1 is
    multi-query attention, `heads` the ordinary one. `rank_ratio` factorises the query and output
    projections, and keys and values too where every head has its own (see `low_rank_linear`).

    `project_kv=False`: it makes no keys and values, but finds them behind the C channels of z, the
    `kv_width` numbers that a `key_value_projection` has made.

    Raises ValueError where heads do not divide the channels, or kv_heads the heads.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        kv_heads: int = 1,
        rank_ratio: float = 1.0,
        project_kv: bool = True,
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} heads")
        if heads % kv_heads:
            raise ValueError(f"{heads} heads do not divide into {kv_heads} groups")
        self.channels, self.heads, self.kv_heads = channels, heads, kv_heads
        self.head_width = channels // heads
        self.query = low_rank_linear(channels, channels, rank_ratio)
        self.keys_values = (
            key_value_projection(channels, heads, kv_heads, rank_ratio) if project_kv else None
        )
        self.project = low_rank_linear(channels, channels, rank_ratio)

    def forward(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.attend(*self.keys_values_of(z), mask)

    def keys_values_of(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B, N, C), and their keys and values (B, N, kv_width): made, or found there."""
        if self.keys_values is None:
            return z[..., : self.channels], z[..., self.channels :]
        return z, self.keys_values(z)

    def attend(
        self, z: torch.Tensor, kv: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Queries of z (B, N, C) on keys and values kv (B, M, kv_width) -> (B, N, C).

        `mask`: (B, N, M), or (B, 1, M) where it is the same for all queries.
        """
        q = self.query(z).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, d)
        k, v = kv.unflatten(-1, (2, self.kv_heads, -1)).permute(
            2, 0, 3, 1, 4
        )  # (B, kv_heads, M, d)
        group = self.heads // self.kv_heads
        k, v = (t[:, :, None].expand(-1, -1, group, -1, -1).flatten(1, 2) for t in (k, v))
        where = None if mask is None else mask[:, None]
        mixed = scaled_dot_product_attention(q, k, v, where)
        return self.project(mixed.transpose(1, 2).flatten(2))

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        return product_macs(output, self.heads * self.head_width, keys=output.shape[1])

    def prunable(self) -> dict[str, Units]:
        """Queries alone where they share keys and values, as many from every group; whole heads
        where each has its own. Heads whose keys and values are made elsewhere are offered there."""
        if self.kv_heads < self.heads:
            return {"heads": head_units(self, sections=self.kv_heads)}
        if self.keys_values is None:
            return {}
        own = Place(self.keys_values, before=2, after=self.head_width)
        return {"heads": head_units(self, keys_values=own)}

    def received(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """How much each token is looked at, called as `forward`; see `looked_at`."""
        return self.looked_at(*self.keys_values_of(z), mask)

    def looked_at(
        self, z: torch.Tensor, kv: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """How much queries of z look at the M tokens of kv, as `attend` takes them: (B, M)."""
        q = self.query(z).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k = kv.unflatten(-1, (2, self.kv_heads, -1))[:, :, 0].transpose(1, 2)
        return looked_at(q, k.repeat_interleave(self.heads // self.kv_heads, dim=1), mask)

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        return {ATTENTION: {RECEIVED: on_grid(self.received(*inputs), *inputs[1:2])}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def uniform(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            z, kv = self.keys_values_of(inputs[0])
            return self.attend(z, without_keys(kv), *inputs[2:3])

        return {ATTENTION: {"to all alike": uniform}}


def head_units(*layers: SharedHeads, sections: int = 1, keys_values: Place | None = None) -> Units:
    """The heads that these attention layers have in common, with the keys and values that they
    share among layers, if they go with them."""
    first, whole = layers[0], keys_values is not None
    return Units(
        "heads",
        first.heads,
        made=(
            *(Place(layer.query, after=layer.head_width) for layer in layers),
            *([keys_values] if keys_values is not None else []),
        ),
        read=tuple(Place(layer.project, after=layer.head_width) for layer in layers),
        sections=sections,
        counts=tuple(
            (layer, name)
            for layer in layers
            for name in ("heads", *(["kv_heads"] if whole else []))
        ),
    )


def without_keys(kv: torch.Tensor) -> torch.Tensor:
    """Keys and values (B, M, kv_width) with keys of zero, which all queries meet alike."""
    keys, values = kv.chunk(2, dim=-1)
    return torch.cat([torch.zeros_like(keys), values], dim=-1)


def key_value_projection(
    channels: int, heads: int, kv_heads: int = 1, rank_ratio: float = 1.0
) -> nn.Module:
    """The projection to keys and values of `kv_heads` heads: (B, N, C) -> (B, N, kv_width)."""
    width = 2 * kv_heads * (channels // heads)
    return low_rank_linear(channels, width, rank_ratio if kv_heads == heads else 1.0)
