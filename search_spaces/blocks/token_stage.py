"""Transformer layers over a feature map, with tokens pruned on the way and put back at the end."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.blocks.position import sincos_embedding
from search_spaces.blocks.query_pruning import QueryGate
from search_spaces.blocks.token_assembly import TokenAssembly
from search_spaces.blocks.token_pruning import SoftTopK


class TokenStage(nn.Module):
    """Gated layers over the voxels of a feature map: sparse encoding, then token completion.

    With a pruning ratio, STP follows every layer but the last two, or the first `places` of these,
    and the last layer is the transformer of MTA (Zhou 2023, Eq. 3): it sees all tokens again. Fewer
    than three layers leave no room for pruning. `tau`, `noise`: see `SoftTopK`. A `gate` sees the
    map first, and decides which queries the layers compute.
    x: (B, C, *S) -> (B, C, *S), with a residual around the whole stage.
    """

    def __init__(
        self,
        channels: int,
        layers: Sequence[GatedLayer],
        prune: float = 0.0,
        gate: QueryGate | None = None,
        *,
        places: int | None = None,
        tau: float = 1.0,
        noise: bool = True,
    ) -> None:
        super().__init__()
        self.gate = gate
        self.layers = nn.ModuleList(layers)
        room = max(len(layers) - 2, 0) if prune else 0
        places = room if places is None else min(places, room)
        self.prune = nn.ModuleList(
            SoftTopK(channels, prune, tau, noise=noise) for _ in range(places)
        )
        self.assemble = TokenAssembly(channels, places) if places else None
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = tuple(x.shape[2:])
        if self.gate is not None:
            self.gate(x)
        position = sincos_embedding(size, x.shape[1], x.device).to(x.dtype)
        z = x.flatten(2).transpose(1, 2) + position  # (B, N, C)
        if self.assemble is not None:
            z = self._sparse(z, position)
        else:
            for layer in self.layers:
                z = layer(z, size)
        return x + self.norm(z).transpose(1, 2).unflatten(2, size)

    def _sparse(self, z: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        index = torch.arange(z.shape[1], device=z.device).expand(z.shape[0], -1)
        dropped: list[tuple[torch.Tensor, torch.Tensor]] = []
        for layer, prune in zip(self.layers, self.prune, strict=False):
            pruned = prune(layer(z))
            dropped.append((pruned.dropped, index.gather(1, pruned.dropped_index)))
            z, index = pruned.kept, index.gather(1, pruned.kept_index)
        for layer in self.layers[len(self.prune) : -1]:
            z = layer(z)
        assert self.assemble is not None
        return self.layers[-1](self.assemble(z, index, dropped, position))
