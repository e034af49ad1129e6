"""The papers' own ways of counting, to compare with their tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from thop.profile import register_hooks
from torch import nn

from nas.cost.mac_counts import CountedCalls
from nas.cost.mac_rules import RULES, Rule, by_thop, rules_with_monai
from search_spaces.blocks.attention import Attention
from search_spaces.blocks.mamba import Mamba
from search_spaces.blocks.norms import SpreadInstanceNorm3d
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.sparse_encoder import SparseEncoder
from search_spaces.meta_network import build_on_meta
from search_spaces.offers import assume_kept
from search_spaces.space import Architecture
from trainers.errors import UserError


@dataclass(frozen=True)
class Convention:
    """`about`: the source and its way of counting. `unit`: what a table calls its numbers, of which
    there are `factor` for each of what the `rules` count. Modules of the types `unseen`, and all
    inside them, count nothing."""

    about: str
    unit: str
    factor: int
    rules: Mapping[type[nn.Module], Rule]
    unseen: tuple[type[nn.Module], ...] = ()


@dataclass(frozen=True)
class PublishedCount:
    """A count by a paper's convention; `least` where the input decides, None elsewhere."""

    convention: Convention
    most: int
    least: int | None

    def to_json(self) -> dict[str, Any]:
        """The numbers, in the paper's unit, and how they were come by."""
        least = {} if self.least is None else {"least": self.least}
        unit = self.convention.unit
        return {"convention": self.convention.about, "unit": unit, "count": self.most, **least}


def published_count(
    architecture: Architecture, in_channels: int, out_channels: int, patch: tuple[int, ...]
) -> PublishedCount:
    """The cost of one patch as the paper behind the architecture's space counts.

    Raises UserError for a space whose paper's counting is not known.
    """
    convention = CONVENTIONS.get(architecture.space)
    if convention is None:
        raise UserError(
            f"--convention published: how the numbers of the space {architecture.space} were "
            f"counted is not known, or none were published; it is for {', '.join(CONVENTIONS)}"
        )
    network = build_on_meta(architecture, in_channels, out_channels)
    shape = (1, in_channels, *patch)
    least = _count(network, shape, convention) if assume_kept(network, 0.0) else None
    assume_kept(network, 1.0)
    return PublishedCount(convention, _count(network, shape, convention), least)


def _count(network: nn.Module, shape: tuple[int, ...], convention: Convention) -> int:
    calls = CountedCalls(
        convention.rules.get, lambda kind: _nothing if issubclass(kind, convention.unseen) else None
    )
    calls.run(network, shape)
    return convention.factor * sum(calls.macs.values())


def _nothing(module: nn.Module, inputs: tuple[Any, ...]) -> Mapping[str, int]:
    return {}


def _each_output(_: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
    return output.numel()


def _each_input(_: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
    return inputs[0].numel()


def _twice_each(_: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
    return 2 * output.numel()


def _scaled_pairs(module: Attention, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
    """The products of attention, and its scale once for each of the N^2 scores of a head."""
    batch, tokens, _ = output.shape
    return module.macs_beside_children(inputs, output) + batch * module.heads * tokens**2


def _with_bias(kind: type[nn.Module]) -> Rule:
    inner = RULES[kind]

    def rule(module: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        added = 0 if module.bias is None else output.numel()
        return inner(module, inputs, output) + added

    return rule


def _whole_projection(module: PrunedAttention, inputs: tuple[Any, ...], _: Any) -> int:
    """Of all queries, keys and values, where a gate makes it no call of its own; no products."""
    if module.queries is None or module.queries.kept is None:
        return 0
    return inputs[0].shape[0] * inputs[0].shape[1] * module.qkv.weight.numel()


# Trilinear upsampling thop counts as nothing, with a line of log each time. The scale and shift of
# our residual blocks' norms are not in the published counts; see `EncoderBlock`.
_THOP = {
    **{kind: by_thop(kind) for kind in register_hooks if kind is not nn.Upsample},
    **dict.fromkeys((nn.InstanceNorm3d, SpreadInstanceNorm3d), _twice_each),
    nn.PReLU: _each_output,  # as thop does, which warns of its own rule
}
_TWICE_THOP = Convention(
    "SlimFormer-3D, Tables 1 and 2: twice what thop says, which takes a transposed convolution's "
    "output for its input, counts a norm twice to four times an element, and sees no product of "
    "attention and nothing inside Mamba",
    unit="FLOPs",
    factor=2,
    rules=_THOP,
    unseen=(Mamba,),
)
_TOKEN_SPARSE = Convention(
    "STP and MTA (Zhou 2023), Tables 2 and 3: multiply-accumulates, transposed convolutions at "
    "their output's voxels, and LayerNorm and the scale of attention once an element",
    unit="MACs",
    factor=1,
    rules={
        **rules_with_monai(),
        nn.LayerNorm: _each_output,
        nn.ConvTranspose3d: by_thop(nn.ConvTranspose3d),
        Attention: _scaled_pairs,
        SparseEncoder: SparseEncoder.macs_beside_children,
    },
)
_APFORMER = Convention(
    "APFormer (Lin 2022), Tables I and II: a multiply-accumulate for a FLOP in convolutions and "
    "linear layers, every query projected; biases of convolutions, ReLU, pooling (its input) and "
    "upsampling once an element, batch norm twice; no product of attention, no LayerNorm",
    unit="FLOPs",
    factor=1,
    rules={
        **{kind: _with_bias(kind) for kind in (nn.Conv2d, nn.Conv3d)},
        nn.Linear: RULES[nn.Linear],
        PrunedAttention: _whole_projection,
        **dict.fromkeys((nn.ReLU, nn.Upsample), _each_output),
        **dict.fromkeys((nn.MaxPool2d, nn.MaxPool3d), _each_input),
        **dict.fromkeys((nn.BatchNorm2d, nn.BatchNorm3d), _twice_each),
    },
)
CONVENTIONS: Mapping[str, Convention] = {
    "slimformer": _TWICE_THOP,
    "baselines": _TWICE_THOP,
    "token_sparse": _TOKEN_SPARSE,
    "apformer": _APFORMER,
}
