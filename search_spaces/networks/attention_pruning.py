"""Adaptive pruning for another network with attention in it (APFormer, Sec. V-A and Table III)."""

from __future__ import annotations

import torch
from torch import nn

from search_spaces.blocks.adaptive_pruning import AdaptivelyPruned
from search_spaces.blocks.attention import Attention
from search_spaces.blocks.dependency_pruning import DependencyPruning
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import Queries, QueryGate


class AttentionPruned(AdaptivelyPruned):
    """A network whose attention is pruned; its input and output are the network's own."""

    def __init__(self, network: nn.Module, gate: QueryGate | None) -> None:
        super().__init__()
        self.network, self.gate = network, gate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)


def prune_attention(
    network: nn.Module,
    *,
    frozen_rounds: int | None = 100,
    watch: str | None = None,
    channels: int = 0,
    confidence: float = 0.9,
    spatial_dims: int = 2,
) -> AttentionPruned:
    """Replace every `Attention` in `network`, keeping its weights.

    `frozen_rounds`: as in `DependencyPruning`, None to prune no dependencies. `watch`: the name of
    the layer inside `network` that puts out a map (B, channels, *S) whose voxels, in row-major
    order, are the tokens of the attention after it; the query gate looks at that map. None prunes
    no queries: a network that feeds raw patches to its transformer has no such map. `confidence`:
    as in `QueryGate`.

    Raises ValueError, when run, where the map has another number of voxels than the tokens.
    """
    gate = None
    if watch is not None:
        gate = QueryGate(spatial_dims, channels, confidence)
        network.get_submodule(watch).register_forward_hook(gate.watch)
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, Attention)
    ]
    queries = None if gate is None else gate.queries
    for parent, name, child in found:
        setattr(parent, name, _pruned(child, queries, frozen_rounds))
    return AttentionPruned(network, gate)


def _pruned(
    attention: Attention, queries: Queries | None, frozen_rounds: int | None
) -> PrunedAttention:
    qkv, heads = attention.qkv, attention.heads
    dependencies = None
    if frozen_rounds is not None:
        dependencies = DependencyPruning(attention.head_width, frozen_rounds)
        dependencies.to(qkv.weight.device)
    with torch.device("meta"):  # its own projections would be thrown away
        pruned = PrunedAttention(qkv.in_features, heads, queries=queries, dependencies=dependencies)
    pruned.qkv, pruned.project = qkv, attention.project
    return pruned
