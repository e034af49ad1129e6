"""Weights of which an axis is several, one behind the other: what a supernet cuts part by part.

A network of half the channels reads half of the decoder's map and half of the skip behind it, not
the first half of both together. Every other axis is one part, of which a network has the head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from search_spaces.blocks.adaptive_decoder import AdaptiveDecoder
from search_spaces.blocks.attention import Attention
from search_spaces.blocks.mamba import Direction, Mamba
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.shared_heads import SharedHeads
from search_spaces.blocks.skip_router import SkipRouter
from search_spaces.blocks.token_pruning import SoftTopK
from search_spaces.networks.hybrid_heads import RefiningHead
from search_spaces.networks.hybrid_levels import DecoderLevel

Sizes = tuple[int, ...]
OUT, IN = 0, 1  # axes of the weights of linear layers and convolutions


def joined_axes(network: nn.Module) -> Mapping[tuple[str, int], Sizes]:
    """(name of a parameter, axis) -> sizes of the parts, for every axis that is several."""
    return {
        (name, axis): sizes
        for path, module in network.named_modules()
        for layer, axis, sizes in _of(module)
        for name in _parameters(network, f"{path}.{layer}", axis)
    }


def _of(module: nn.Module) -> Iterator[tuple[str, int, Sizes]]:
    """The layer below `module`, which axis of its weight, and the parts."""
    match module:
        case Attention() | PrunedAttention():
            yield "qkv", OUT, (_size(module.qkv, "out_features") // 3,) * 3
        case SharedHeads() if module.keys_values is not None:
            yield "keys_values", OUT, (module.kv_heads * module.channels // module.heads,) * 2
        case Mamba():
            yield "enter", OUT, (_size(module.enter, "out_features") // 2,) * 2
            yield "select", OUT, _selected(module)
        case Direction():
            yield "select", OUT, _selected(module)
        case SoftTopK():
            yield "score.0", IN, (_size(module.score[0], "in_features") // 2,) * 2
        case DecoderLevel() if module.concat:
            here = _size(module.up, "out_channels")
            yield "unit.body.0.0", IN, (here, here)
            if module.unit.shortcut is not None:
                yield "unit.shortcut", IN, (here, here)
        case AdaptiveDecoder():
            yield "fuse", IN, (_size(module.fuse, "out_channels"),) * 2
        case RefiningHead():
            refined = _size(module.up, "out_channels")
            yield "unit.0", IN, (refined, _in_channels(module.unit[0]) - refined)
        case SkipRouter():
            width = _size(module.control[0], "out_channels")
            yield "control.0", IN, (width,) * len(module.project)


def _size(layer: object, name: str) -> int:
    return int(getattr(layer, name))


def _selected(path: Mamba | Direction) -> Sizes:
    """Of dt, b and c."""
    rank = path.step.in_features
    return (rank, *((path.select.out_features - rank) // 2,) * 2)


def _in_channels(conv: nn.Module) -> int:
    return next(m.in_channels for m in conv.modules() if isinstance(m, nn.Conv3d))


def _parameters(network: nn.Module, path: str, axis: int) -> Iterator[str]:
    """What is cut: of a layer its weight, and its bias along the outputs; of two layers in a row,
    the first for inputs and the last for outputs."""
    layer = network.get_submodule(path)
    own = [
        (f"{path}.{name}".rstrip("."), m)
        for name, m in layer.named_modules()
        if isinstance(m, nn.Linear | nn.Conv3d)
    ]
    for name, made in own[-1:] if axis == OUT else own[:1]:
        yield f"{name}.weight"
        if axis == OUT and made.bias is not None:
            yield f"{name}.bias"
