"""Adaptive pruning for any network with attention in it (APFormer, Sec. V-A and Table III)."""

from __future__ import annotations

import torch
from monai.networks.blocks.selfattention import SABlock
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


class PrunedSABlock(nn.Module):
    """A PrunedAttention that is called as MONAI calls its SABlock.

    `attn_mask`: (B, N), False or 0 for tokens that nobody may look at.
    """

    def __init__(self, attention: PrunedAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        if attn_mask is None:
            return self.attention(x)
        mask = attn_mask.bool()[:, None].expand(-1, x.shape[1], -1)
        return self.attention(x, None, mask)


def prune_attention(
    network: nn.Module,
    *,
    frozen_rounds: int | None = 100,
    watch: str | None = None,
    channels: int = 0,
    confidence: float = 0.9,
    spatial_dims: int = 2,
) -> AttentionPruned:
    """Replace every `Attention` and MONAI `SABlock` in `network`, keeping its weights.

    `frozen_rounds`: as in `DependencyPruning`, None to prune no dependencies. `watch`: the name of
    the layer inside `network` that puts out a map (B, channels, *S) whose voxels, in row-major
    order, are the tokens of the attention after it; the query gate looks at that map. None prunes
    no queries: a network that feeds raw patches to its transformer has no such map. `confidence`:
    as in `QueryGate`.

    Raises ValueError where there is no attention to prune, where an SABlock has options that the
    pruned form has not, or (when run) where the map has another number of voxels than the tokens.
    """
    gate = None
    if watch is not None:
        gate = QueryGate(spatial_dims, channels, confidence)
        network.get_submodule(watch).register_forward_hook(gate.watch)
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, Attention | SABlock)
    ]
    if not found:
        raise ValueError(f"{type(network).__name__} has no Attention and no SABlock to prune")
    queries = None if gate is None else gate.queries
    for parent, name, child in found:
        setattr(parent, name, _pruned(child, queries, frozen_rounds))
    return AttentionPruned(network, gate)


def _pruned(
    attention: Attention | SABlock, queries: Queries | None, frozen_rounds: int | None
) -> PrunedAttention | PrunedSABlock:
    """Raises ValueError for an SABlock that does what a PrunedAttention does not do."""
    qkv = attention.qkv
    if isinstance(attention, SABlock):
        _check_options(attention)
        project, heads = attention.out_proj, attention.num_heads
    else:
        project, heads = attention.project, attention.heads
    assert isinstance(qkv, nn.Linear) and isinstance(project, nn.Linear)
    dependencies = None
    if frozen_rounds is not None:
        dependencies = DependencyPruning(qkv.out_features // (3 * heads), frozen_rounds)
        dependencies.to(qkv.weight.device)
    with torch.device("meta"):  # its own projections would be thrown away
        pruned = PrunedAttention(
            qkv.in_features,
            heads,
            qkv.out_features // (3 * heads),
            queries=queries,
            dependencies=dependencies,
        )
    pruned.qkv, pruned.project = qkv, project
    return PrunedSABlock(pruned) if isinstance(attention, SABlock) else pruned


def _check_options(block: SABlock) -> None:
    unknown = {
        "causal": block.causal,
        "dropout_rate": block.dropout_rate,
        "rel_pos_embedding": block.rel_positional_embedding is not None,
        "use_combined_linear=False": not block.use_combined_linear,
        "include_fc=False": not block.include_fc,
        "save_attn": block.save_attn,
    }
    if options := [name for name, present in unknown.items() if present]:
        raise ValueError(f"an SABlock with {', '.join(options)} cannot be pruned")
