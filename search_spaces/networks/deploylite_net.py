"""Light convolutions above, light transformers below: the network of the `deploylite` space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import nn
from torch.nn.functional import interpolate

from search_spaces.blocks.conv import ConvKind, ConvUnit, ResidualUnit, transposed
from search_spaces.blocks.light_conv import LightConv, PatchMerging
from search_spaces.blocks.light_tokens import LightTokens
from search_spaces.blocks.prunable import Units
from search_spaces.blocks.subvoxel_head import SubvoxelHead
from search_spaces.networks.input_size import check_size
from search_spaces.networks.unet_streams import deploylite_streams

if TYPE_CHECKING:
    from search_spaces.deploylite import DeployLite, TokenLevel

ShallowKind = Literal["separable", "inverted", "ghost", "standard"]
EXPANSION = {"separable": 1, "inverted": 2}  # the kinds that run channels last


class DeployNet(nn.Module):
    """A U-shape of convolutional levels, transformer levels below them, and a fusing decoder.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). Raises ValueError where D, H or W is not a
    multiple of the stride.
    """

    def __init__(self, point: DeployLite, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.strides = point.strides()
        channels = point.channels
        before = [in_channels, *channels]
        first_tokens = point.levels - len(point.tokens)
        self.entries = nn.ModuleList(
            _entry(point, level, above, here)
            for level, (above, here) in enumerate(zip(before, channels, strict=False))
        )
        self.bodies = nn.ModuleList(
            nn.Sequential(*(_unit(point, level) for _ in range(point.convs)))
            for level in range(first_tokens)
        )
        self.bodies.extend(
            _tokens(point, *level)
            for level in zip(
                reversed(point.tokens), channels[first_tokens:], point.heads, strict=True
            )
        )
        fusion = LightFusion if point.conv in EXPANSION else ConvFusion
        self.decoder = nn.ModuleList(
            fusion(point, level) for level in reversed(range(point.levels - 1))
        )
        self.head = SubvoxelHead(3, channels[0], out_channels, point.factor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.strides)
        features: list[torch.Tensor] = []
        y = x
        for entry, body in zip(self.entries, self.bodies, strict=True):
            y = body(entry(y))
            features.append(y)
        features.pop()
        for fuse in self.decoder:
            y = fuse(y, features.pop())
        return self.head(y)

    def prunable(self) -> dict[str, Units]:
        return deploylite_streams(self)

    def encoder_stages(self) -> list[list[nn.Module]]:
        """The levels; see `offers`."""
        return [list(level) for level in zip(self.entries, self.bodies, strict=True)]


class LightFusion(nn.Module):
    """The level below, projected and repeated, joined with the skip; then a light unit.

    below: (B, C_below, *S), skip: (B, C, *2S) -> (B, C, *2S). `add` is the top-down path of a
    feature pyramid (FPN, Lin 2017). `concat` is a 1^3 convolution of both: it is linear, and so
    applied to each at its own resolution before they are added.
    """

    def __init__(self, point: DeployLite, level: int) -> None:
        super().__init__()
        here, below = point.channels[level : level + 2]
        self.lift = nn.Linear(below, here)
        self.merge = nn.Linear(here, here, bias=False) if point.fusion == "concat" else None
        self.unit = _unit(point, level)
        self._factor = tuple(map(float, point.factor(level + 1)))

    def forward(self, below: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        lifted = self.lift(below.movedim(1, -1)).movedim(-1, 1)
        if self.merge is not None:
            skip = self.merge(skip.movedim(1, -1)).movedim(-1, 1)
        return self.unit(skip + interpolate(lifted, scale_factor=self._factor, mode="nearest"))


class ConvFusion(nn.Module):
    """A transposed convolution, the skip joined, a residual unit (U-Net, Ronneberger 2015).

    below: (B, C_below, *S), skip: (B, C, *2S) -> (B, C, *2S).
    """

    def __init__(self, point: DeployLite, level: int) -> None:
        super().__init__()
        here, below = point.channels[level : level + 2]
        self.up = transposed(3, below, here, point.factor(level + 1))
        self.concat = point.fusion == "concat"
        self.unit = _residual(point, level, 2 * here if self.concat else here)

    def forward(self, below: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        y = self.up(below)
        return self.unit(torch.cat([skip, y], dim=1) if self.concat else skip + y)


def _entry(point: DeployLite, level: int, before: int, here: int) -> nn.Module:
    """To the resolution and the channels of a level."""
    factor = point.factor(level)
    if point.conv in EXPANSION:
        return PatchMerging(3, before, here, factor)
    kind = cast(ConvKind, point.conv)
    return ConvUnit(
        3, before, here, conv=kind, norm="group", stride=factor, kernel=point.kernel(level)
    )


def _unit(point: DeployLite, level: int) -> nn.Module:
    channels = point.channels[level]
    if point.conv in EXPANSION:
        return LightConv(3, channels, EXPANSION[point.conv], point.kernel(level))
    return _residual(point, level, channels)


def _residual(point: DeployLite, level: int, before: int) -> ResidualUnit:
    kind = cast(ConvKind, point.conv)
    return ResidualUnit(
        3, before, point.channels[level], conv=kind, norm="group", kernel=point.kernel(level)
    )


def _tokens(point: DeployLite, level: TokenLevel, channels: int, heads: int) -> LightTokens:
    return LightTokens(
        channels,
        level.depth,
        heads=heads,
        kv_heads=1 if point.shared_heads else heads,
        window=level.window,
        halo=level.halo,
        top=level.top,
        shift=level.shift,
        exchange=level.exchange,
        share_layers=point.share_layers,
        rank_ratio=point.rank_ratio,
        mlp_ratio=point.mlp_ratio,
    )
