"""Light convolutions above, light transformers below: the network of the `deploylite` space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn.functional import interpolate

from search_spaces.blocks.conv import ConvKind, ConvUnit, ResidualUnit
from search_spaces.blocks.light_conv import LightConv, PatchMerging
from search_spaces.blocks.light_tokens import Exchange, LightTokens
from search_spaces.blocks.subvoxel_head import SubvoxelHead

ShallowKind = Literal["separable", "inverted", "ghost", "standard"]
EXPANSION = {"separable": 1, "inverted": 2}  # the kinds that run channels last


@dataclass(frozen=True, kw_only=True)
class TokenPlan:
    """The transformer layers of one level; see `LightTokens`."""

    depth: int
    window: int
    shift: bool
    exchange: Exchange


@dataclass(frozen=True, kw_only=True)
class DeployPlan:
    """What `DeployNet` is made of; the `deploylite` space's architectures map onto it.

    Level l has about `width * growth**l` channels, a multiple of 8, at stride `stem_stride * 2**l`.
    `tokens` lists the levels with transformer layers, the deepest first; the levels above have
    `convs` convolutional units of the kind `conv` each.
    """

    width: int
    growth: float
    levels: int
    stem_stride: int
    conv: ShallowKind
    convs: int
    tokens: Sequence[TokenPlan]
    head_width: int
    shared_heads: bool
    share_layers: bool
    rank_ratio: float
    mlp_ratio: int
    fusion: Literal["add", "concat"]

    @property
    def channels(self) -> list[int]:
        """Channels of every level, the shallowest first."""
        return [8 * round(self.width * self.growth**level / 8) for level in range(self.levels)]

    @property
    def heads(self) -> list[int]:
        """Attention heads of every level with transformer layers, the shallowest first."""
        return [_heads(c, self.head_width) for c in self.channels[self.levels - len(self.tokens) :]]

    @property
    def stride(self) -> int:
        """The input's D, H and W must be multiples of this."""
        return self.stem_stride * 2 ** (self.levels - 1)


def _heads(channels: int, width: int) -> int:
    """The most heads of at least `width` channels that divide them, one at least."""
    return max(h for h in range(1, max(channels // width, 1) + 1) if channels % h == 0)


class DeployNet(nn.Module):
    """A U-shape of convolutional levels, transformer levels below them, and a fusing decoder.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). Raises ValueError where D, H or W is not a
    multiple of the stride.
    """

    def __init__(self, plan: DeployPlan, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.stride = plan.stride
        channels = plan.channels
        before = [in_channels, *channels]
        factors = [plan.stem_stride] + [2] * (plan.levels - 1)
        first_tokens = plan.levels - len(plan.tokens)
        self.entries = nn.ModuleList(
            _entry(plan.conv, above, here, factor)
            for above, here, factor in zip(before, channels, factors, strict=False)
        )
        self.bodies = nn.ModuleList(
            nn.Sequential(*(_unit(plan.conv, c) for _ in range(plan.convs)))
            for c in channels[:first_tokens]
        )
        self.bodies.extend(
            _tokens(plan, *level)
            for level in zip(
                reversed(plan.tokens), channels[first_tokens:], plan.heads, strict=True
            )
        )
        fusion = LightFusion if plan.conv in EXPANSION else ConvFusion
        self.decoder = nn.ModuleList(
            fusion(plan, channels[level + 1], channels[level])
            for level in reversed(range(plan.levels - 1))
        )
        self.head = SubvoxelHead(3, channels[0], out_channels, plan.stem_stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if any(length % self.stride for length in x.shape[2:]):
            raise ValueError(
                f"input of {tuple(x.shape[2:])} voxels; every axis must be a multiple of the "
                f"network's stride, {self.stride}"
            )
        features: list[torch.Tensor] = []
        y = x
        for entry, body in zip(self.entries, self.bodies, strict=True):
            y = body(entry(y))
            features.append(y)
        features.pop()
        for fuse in self.decoder:
            y = fuse(y, features.pop())
        return self.head(y)


class LightFusion(nn.Module):
    """The level below, projected and repeated, joined with the skip; then a light unit.

    below: (B, C_below, *S), skip: (B, C, *2S) -> (B, C, *2S). `add` is the top-down path of a
    feature pyramid (FPN, Lin 2017). `concat` is a 1^3 convolution of both: it is linear, and so
    applied to each at its own resolution before they are added.
    """

    def __init__(self, plan: DeployPlan, below: int, here: int) -> None:
        super().__init__()
        self.lift = nn.Linear(below, here)
        self.merge = nn.Linear(here, here, bias=False) if plan.fusion == "concat" else None
        self.unit = _unit(plan.conv, here)

    def forward(self, below: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        lifted = self.lift(below.movedim(1, -1)).movedim(-1, 1)
        if self.merge is not None:
            skip = self.merge(skip.movedim(1, -1)).movedim(-1, 1)
        return self.unit(skip + interpolate(lifted, scale_factor=2.0, mode="nearest"))


class ConvFusion(nn.Module):
    """A transposed convolution, the skip joined, a residual unit (U-Net, Ronneberger 2015).

    below: (B, C_below, *S), skip: (B, C, *2S) -> (B, C, *2S).
    """

    def __init__(self, plan: DeployPlan, below: int, here: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(below, here, 2, stride=2)
        self.concat = plan.fusion == "concat"
        self.unit = _residual(plan.conv, 2 * here if self.concat else here, here)

    def forward(self, below: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        y = self.up(below)
        return self.unit(torch.cat([skip, y], dim=1) if self.concat else skip + y)


def _entry(kind: ShallowKind, before: int, here: int, factor: int) -> nn.Module:
    """To the resolution and the channels of a level."""
    if kind in EXPANSION:
        return PatchMerging(3, before, here, factor)
    return ConvUnit(3, before, here, conv=_conv_kind(kind), norm="group", stride=factor)


def _unit(kind: ShallowKind, channels: int) -> nn.Module:
    if kind in EXPANSION:
        return LightConv(3, channels, EXPANSION[kind])
    return _residual(kind, channels, channels)


def _residual(kind: ShallowKind, before: int, here: int) -> ResidualUnit:
    return ResidualUnit(3, before, here, conv=_conv_kind(kind), norm="group")


def _conv_kind(kind: ShallowKind) -> ConvKind:
    return "ghost" if kind == "ghost" else "standard"


def _tokens(plan: DeployPlan, tokens: TokenPlan, channels: int, heads: int) -> LightTokens:
    return LightTokens(
        channels,
        tokens.depth,
        heads=heads,
        kv_heads=1 if plan.shared_heads else heads,
        window=tokens.window,
        shift=tokens.shift,
        exchange=tokens.exchange,
        share_layers=plan.share_layers,
        rank_ratio=plan.rank_ratio,
        mlp_ratio=plan.mlp_ratio,
    )
