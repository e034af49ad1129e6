"""What modules compute, for thop: its own rules where they are right, ours everywhere else.

A rule is `(module, inputs, output) -> multiply-accumulates` of one call, without those of the
modules inside that are called themselves. B batch, N tokens that ask, M tokens they look at, C
channels. What has no rule multiplies nothing of its own: containers, norms, activations, softmax,
pooling, interpolation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from monai.networks.blocks.selfattention import SABlock
from monai.networks.nets.swin_unetr import WindowAttention
from thop.profile import register_hooks
from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.evit_pruning import AttentiveTopK
from search_spaces.blocks.mamba import Mamba
from search_spaces.blocks.pooled_windows import PooledWindows
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.shared_heads import SharedHeads
from search_spaces.blocks.sparse_encoder import SparseEncoder

Rule = Callable[[Any, tuple[Any, ...], Any], int]


def rule_of(kind: type[nn.Module]) -> Rule | None:
    """The rule of the nearest ancestor that has one; None: nothing of its own to count."""
    return next((RULES[ancestor] for ancestor in kind.__mro__ if ancestor in RULES), None)


def by_thop(kind: type[nn.Module]) -> Rule:
    """thop's own rule for that type of module."""
    count = register_hooks[kind]

    def rule(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> int:
        meter = Meter(module)
        count(meter, inputs, output)
        return int(meter.total_ops)

    return rule


class Meter:
    """A module, to thop's rules, that keeps their count as a plain number: its buffers are slow."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self.total_ops: Any = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def _transposed(module: Any, inputs: tuple[Any, ...], _: Any) -> int:
    """Every input voxel meets every tap once; thop takes the output's voxels for them."""
    return inputs[0].numel() * module.weight[0].numel()


def _recurrent(module: nn.Module, inputs: tuple[Any, ...], _: Any) -> int:
    """Every weight matrix once a step; thop adds the elementwise work."""
    x = inputs[0]
    return x.numel() // x.shape[-1] * sum(p.numel() for p in module.parameters() if p.dim() == 2)


def _multihead(module: nn.MultiheadAttention, inputs: tuple[Any, ...], _: Any) -> int:
    """Four projections, whose weights no called module holds, and two products."""
    query, key, value = inputs[:3]
    width, length = module.embed_dim, key.shape[1 if module.batch_first and key.dim() == 3 else 0]
    length += int(module.bias_k is not None) + int(module.add_zero_attn)
    asking = query.numel() // width
    projected = 2 * query.numel() + key.numel() + value.numel()
    return width * (projected + 2 * asking * length)


def _all_pairs(_: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
    """Q K^T and its product with V, N tokens with N: (B, N, C) -> 2 B N^2 C."""
    return 2 * output.numel() * output.shape[1]


def _inner_pairs(module: SABlock, inputs: tuple[Any, ...], _: Any) -> int:
    batch, tokens = inputs[0].shape[:2]
    return 2 * batch * tokens**2 * module.inner_dim


def _pooled_pairs(module: PooledWindows, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
    """N tokens with the M windows, those at the border clipped."""
    windows = 1
    for length in inputs[1]:
        windows *= -(-length // min(module.window, length))
    return 2 * output.numel() * windows


def _pruned_pairs(module: PrunedAttention, inputs: tuple[Any, ...], _: Any) -> int:
    """The products of the K queries that are kept; where a gate keeps some, their projection, and
    that of all keys and values, by parts of a weight that no called module holds."""
    batch, tokens, channels = inputs[0].shape
    inner = module.project.in_features
    kept = None if module.queries is None else module.queries.kept
    if kept is None:
        return 2 * batch * tokens**2 * inner
    asking = kept.index.shape[1]
    return batch * inner * (2 * asking * tokens + (asking + 2 * tokens) * channels)


def _class_attention(module: SparseEncoder, inputs: tuple[Any, ...], _: Any) -> int:
    """What EViT asks for at every place: all keys, and one query and its product with them."""
    batch, tokens, channels = inputs[0].shape
    tokens, total = tokens - 1, 0
    sampler: Any
    for sampler in module.samplers:
        if isinstance(sampler, AttentiveTopK):
            total += (tokens + 2) * channels**2 + (tokens + 1) * channels
        tokens = max(1, int((1 - sampler.ratio) * tokens + 1e-6))
    return batch * total


def _causal_convolution(module: Mamba, inputs: tuple[Any, ...], _: Any) -> int:
    """By the weight of a module that is not called: every token meets every tap, channel by
    channel."""
    batch, tokens, _channels = inputs[0].shape
    return batch * tokens * module.conv.weight.numel()


RULES: Mapping[type[nn.Module], Rule] = {
    **{kind: by_thop(kind) for kind in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)},
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), _transposed),
    **dict.fromkeys((nn.RNNBase, nn.RNNCellBase), _recurrent),
    nn.MultiheadAttention: _multihead,
    SABlock: _inner_pairs,
    WindowAttention: _all_pairs,
    Attention: _all_pairs,
    SharedHeads: _all_pairs,
    PooledWindows: _pooled_pairs,
    PrunedAttention: _pruned_pairs,
    SparseEncoder: _class_attention,
    Mamba: _causal_convolution,
}
