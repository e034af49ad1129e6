"""Token stages of `HybridUNet`: which mixer, which windows, which pruning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.dependency_pruning import DependencyPruning
from search_spaces.blocks.gated_layer import gated_layer
from search_spaces.blocks.grpe import GRPE
from search_spaces.blocks.mamba import Mamba
from search_spaces.blocks.mlp import MLP
from search_spaces.blocks.pooling import Pooling
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import Queries, QueryGate
from search_spaces.blocks.shared_heads import SharedHeads
from search_spaces.blocks.token_stage import TokenStage
from search_spaces.blocks.windows import Windowed
from search_spaces.widths import attention_heads

if TYPE_CHECKING:
    from search_spaces import hybrid

HEAD_WIDTH = 16  # channels of an attention head, at least
REACH = 8  # patches around a query whose offsets GRPE's table tells apart


def token_stage(stage: hybrid.TokenStage, channels: int) -> TokenStage:
    """The stage for a map of that many channels."""
    gate = QueryGate(3, channels, stage.confidence) if stage.prune_queries else None
    queries = None if gate is None else gate.queries
    layers = [
        gated_layer(
            channels,
            kept,
            mixer=lambda: _mixer(stage, channels, queries),
            mlp=lambda: MLP(channels, stage.mlp_ratio * channels, stage.rank),
        )
        for kept in stage.gates
    ]
    return TokenStage(
        channels,
        layers,
        stage.prune,
        gate,
        places=stage.places,
        tau=stage.tau,
        noise=not stage.noiseless,
    )


def _mixer(stage: hybrid.TokenStage, channels: int, queries: Queries | None) -> nn.Module:
    if stage.mixer == "pool":
        return Pooling()
    if stage.mixer == "adaptive":
        return _adaptive(stage, channels, queries)
    if stage.mixer == "mamba":
        mixer: nn.Module = Mamba(channels, directions=stage.directions)
    else:
        mixer = _attention(stage, channels)
    return Windowed(mixer, stage.window) if stage.window else mixer


def _attention(stage: hybrid.TokenStage, channels: int) -> nn.Module:
    heads = attention_heads(channels, HEAD_WIDTH)
    if stage.mixer == "shared":
        return SharedHeads(channels, heads, 1, stage.rank)
    if stage.rank < 1:
        return SharedHeads(channels, heads, heads, stage.rank)
    return Attention(channels, heads)


def _adaptive(stage: hybrid.TokenStage, channels: int, queries: Queries | None) -> PrunedAttention:
    heads = attention_heads(channels, HEAD_WIDTH)
    prunes = stage.prune_dependencies
    return PrunedAttention(
        channels,
        heads,
        queries=queries,
        dependencies=DependencyPruning(channels // heads) if prunes else None,
        position=GRPE(3, heads, REACH) if stage.grpe else None,
        regularise=stage.regularise,
    )
