"""What modules of torch and MONAI compute: thop's own rules where they are right, ours elsewhere.

Blocks of the search spaces tell it themselves, by `macs_beside_children`.

A rule is `(module, inputs, output) -> multiply-accumulates` of one call, without those of the
modules inside that are called themselves. B batch, N tokens that ask, M tokens they look at, C
channels. What has no rule multiplies nothing of its own: containers, norms, activations, softmax,
pooling, interpolation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from thop.profile import register_hooks
from torch import nn

from search_spaces.offers import own_rule

if TYPE_CHECKING:
    from monai.networks.blocks.selfattention import SABlock

Rule = Callable[[Any, tuple[Any, ...], Any], int]


def rule_of(kind: type[nn.Module]) -> Rule | None:
    """Its own `macs_beside_children` (see `search_spaces.offers`), else the rule of the nearest
    ancestor that has one here; None: nothing of its own to count."""
    rules = rules_with_monai() if "monai" in sys.modules else RULES  # who has none needs no rule
    inherited = (rules[ancestor] for ancestor in kind.__mro__ if ancestor in rules)
    return own_rule(kind) or next(inherited, None)


def by_thop(kind: type[nn.Module]) -> Rule:
    """thop's own rule for that type of module."""
    count = register_hooks[kind]

    def rule(module: Any, inputs: tuple[Any, ...], output: Any) -> int:
        module.total_ops = 0  # where thop counts; a plain number, for its buffers are slow
        count(module, inputs, output)
        return int(vars(module).pop("total_ops"))

    return rule


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


RULES: Mapping[type[nn.Module], Rule] = {
    **{kind: by_thop(kind) for kind in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)},
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), _transposed),
    **dict.fromkeys((nn.RNNBase, nn.RNNCellBase), _recurrent),
    nn.MultiheadAttention: _multihead,
}


@cache
def rules_with_monai() -> Mapping[type[nn.Module], Rule]:
    """`RULES`, and those of MONAI's own modules. Imports MONAI, which takes as long as torch."""
    from monai.networks.blocks.selfattention import SABlock
    from monai.networks.nets.swin_unetr import WindowAttention

    return {**RULES, SABlock: _inner_pairs, WindowAttention: _all_pairs}
