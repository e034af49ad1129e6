"""Transformer layers between which tokens are dropped, and the layer that completes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.dynamic_pruning import (
    RATIO_WEIGHT,
    DynamicPruning,
    attend_kept,
    ratio_loss,
)
from search_spaces.blocks.evit_pruning import (
    AttentiveTopK,
    class_attention,
    class_attention_macs,
)
from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.blocks.recompute import recomputed
from search_spaces.blocks.token_completion import Completion, Dropped
from search_spaces.blocks.token_pruning import Pruned, SoftTopK
from search_spaces.blocks.token_scores import TokenScores

Sampler = Literal["stp", "evit", "dynamic"]


def sampler(
    kind: Sampler, channels: int, ratio: float, tau: float, noise: bool = True
) -> nn.Module:
    """The module that prunes: STP, EViT or DynamicViT; `tau` and `noise` are of STP alone."""
    if kind == "stp":
        return SoftTopK(channels, ratio, tau, TokenScores(channels), noise)
    return AttentiveTopK(ratio) if kind == "evit" else DynamicPruning(channels, ratio)


class SparseEncoder(nn.Module):
    """Sparse encoding and token completion (Zhou 2023, Fig. 1).

    z: (B, 1 + N, C), the class token first; position: (1, N, C) -> the completed tokens (B, N, C).
    `samplers[i]` prunes after `places[i]` layers (1 is after the first); what it drops is not
    computed again until the completion. The class token always stays. DynamicViT alone computes
    every token in training, where only its masks are sparse. `recompute`: what is computed from
    all tokens, the layers before the first place and the completion, is computed again for the
    gradient, so that only kept tokens' activations are kept.
    """

    def __init__(
        self,
        layers: Sequence[GatedLayer],
        places: Sequence[int],
        samplers: Sequence[nn.Module],
        completion: Completion,
    ) -> None:
        super().__init__()
        self.layers, self.samplers = nn.ModuleList(layers), nn.ModuleList(samplers)
        self.places = {place: i for i, place in enumerate(places)}
        self.completion = completion
        self._ratio = float(samplers[0].ratio)  # type: ignore[arg-type]
        self._kept: list[torch.Tensor] = []

    def forward(
        self, z: torch.Tensor, position: torch.Tensor, recompute: bool = False
    ) -> torch.Tensor:
        if self.training and any(isinstance(s, DynamicPruning) for s in self.samplers):
            return self._masked(z, position, recompute)
        index = torch.arange(z.shape[1] - 1, device=z.device).expand(z.shape[0], -1)
        dropped: list[tuple[torch.Tensor, torch.Tensor]] = []
        for done, layer in enumerate(self.layers, start=1):
            before, z = z, recomputed(layer, z, when=recompute and not dropped)
            if done in self.places:
                pruned = self._prune(done, z[:, 1:], before)
                dropped.append((pruned.dropped, index.gather(1, pruned.dropped_index)))
                z = torch.cat([z[:, :1], pruned.kept], dim=1)
                index = index.gather(1, pruned.kept_index)
        return recomputed(self.completion, z, index, dropped, position, when=recompute)

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        """What EViT asks for at every place."""
        batch, tokens, _ = inputs[0].shape
        tokens, total = tokens - 1, 0
        for place, i in self.places.items():
            sampler: Any = self.samplers[i]
            layer: Any = self.layers[place - 1]
            if isinstance(sampler, AttentiveTopK):
                total += class_attention_macs(layer.mixer, tokens + 1)
            tokens = max(1, int((1 - sampler.ratio) * tokens + 1e-6))
        return batch * total

    def take_ratio_loss(self) -> dict[str, torch.Tensor]:
        """DynamicViT's loss of the last training pass, weighted; taken once. Empty elsewhere."""
        kept, self._kept = self._kept, []
        if not kept:
            return {}
        return {"ratio": RATIO_WEIGHT * ratio_loss(kept, self._ratio)}

    def _prune(self, place: int, z: torch.Tensor, before: torch.Tensor) -> Pruned:
        sampler, layer = self.samplers[self.places[place]], self.layers[place - 1]
        if not isinstance(sampler, AttentiveTopK):
            return sampler(z)
        assert isinstance(layer, GatedLayer) and isinstance(layer.mixer, Attention)
        assert layer.mixer_norm is not None
        return sampler(z, class_attention(layer.mixer, layer.mixer_norm(before)))

    def _masked(self, z: torch.Tensor, position: torch.Tensor, recompute: bool) -> torch.Tensor:
        alive = torch.ones(z.shape[0], z.shape[1] - 1, device=z.device)
        self._kept = []
        dropped: Dropped = []
        for done, layer in enumerate(self.layers, start=1):
            if dropped:
                seen = nn.functional.pad(alive, (1, 0), value=1.0)
                z = recomputed(attend_kept, layer, z, seen, when=recompute)
            else:
                z = recomputed(layer, z, when=recompute)
            if done in self.places:
                sampler = self.samplers[self.places[done]]
                assert isinstance(sampler, DynamicPruning)
                kept = sampler.decide(z[:, 1:], alive)
                dropped = [*dropped, (z[:, 1:], alive - kept)]
                self._kept.append(kept)
                alive = kept
        return recomputed(self.completion.masked, z, alive, dropped, position, when=recompute)
