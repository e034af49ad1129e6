"""The three networks that the `apformer` space spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import nn

from search_spaces.networks.apformer_net import APFormerNet
from search_spaces.networks.attention_pruning import prune_attention
from search_spaces.networks.setr import SETR
from search_spaces.networks.transunet import TransUNet

if TYPE_CHECKING:
    from search_spaces.apformer import APFormer

DESIGNS: Mapping[str, Callable[[APFormer, int, int], nn.Module]] = {
    "apformer": APFormerNet,
    "setr": SETR,
    "transunet": TransUNet,
}


def build_design(point: APFormer, in_channels: int, out_channels: int) -> nn.Module:
    """The network of the point's design; the attention of SETR and TransUNet pruned as it says."""
    network = DESIGNS[point.design](point, in_channels, out_channels)
    if point.design == "apformer" or not (point.gated or point.prune_dependencies):
        return network
    return prune_attention(
        network,
        frozen_rounds=point.rounds,
        watch=f"encoder.{point.levels - 1}" if point.gated else None,
        channels=point.channels[-1],
        confidence=point.confidence,
        spatial_dims=point.spatial_dims,
    )
