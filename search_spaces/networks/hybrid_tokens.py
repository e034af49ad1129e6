"""Token stages of `HybridUNet`: which mixer, which windows, which pruning."""

from __future__ import annotations

from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.dependency_pruning import DependencyPruning
from search_spaces.blocks.gated_layer import gated_layer
from search_spaces.blocks.grpe import GRPE
from search_spaces.blocks.low_rank import LowRankMLP
from search_spaces.blocks.mamba import Mamba
from search_spaces.blocks.pooling import Pooling
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import Queries, QueryGate
from search_spaces.blocks.shared_heads import SharedHeads
from search_spaces.blocks.token_stage import TokenStage
from search_spaces.blocks.windows import Windowed
from search_spaces.networks.hybrid_plan import TokenPlan

REACH = 8  # patches around a query whose offsets GRPE's table tells apart


def token_stage(plan: TokenPlan, channels: int) -> TokenStage:
    """The stage for a map of that many channels."""
    gate = QueryGate(3, channels) if plan.prune_queries else None
    queries = None if gate is None else gate.queries
    layers = [
        gated_layer(
            channels,
            kept,
            mixer=lambda: _mixer(plan, channels, queries),
            mlp=lambda: LowRankMLP(channels, plan.mlp_ratio * channels, plan.rank),
        )
        for kept in plan.gates
    ]
    return TokenStage(channels, layers, plan.prune, gate)


def _mixer(plan: TokenPlan, channels: int, queries: Queries | None) -> nn.Module:
    if plan.mixer == "pool":
        return Pooling()
    if plan.mixer == "adaptive":
        return _adaptive(plan, channels, queries)
    mixer = Mamba(channels) if plan.mixer == "mamba" else _attention(plan, channels)
    return Windowed(mixer, plan.window) if plan.window else mixer


def _attention(plan: TokenPlan, channels: int) -> nn.Module:
    heads = _heads(channels)
    if plan.mixer == "shared":
        return SharedHeads(channels, heads, 1, plan.rank)
    if plan.rank < 1:
        return SharedHeads(channels, heads, heads, plan.rank)
    return Attention(channels, heads)


def _adaptive(plan: TokenPlan, channels: int, queries: Queries | None) -> PrunedAttention:
    heads = _heads(channels)
    prunes = plan.prune_dependencies
    return PrunedAttention(
        channels,
        heads,
        queries=queries,
        dependencies=DependencyPruning(channels // heads) if prunes else None,
        position=GRPE(3, heads, REACH) if plan.grpe else None,
        regularise=True,
    )


def _heads(channels: int) -> int:
    """As many as divide the channels and have sixteen each, one at least."""
    return max(h for h in range(1, max(channels // 16, 1) + 1) if channels % h == 0)
