"""The levels of `HybridUNet`: encoder, skips, decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.blocks.adaptive_decoder import AdaptiveDecoder
from search_spaces.blocks.anchors import FiLM, PositionBias
from search_spaces.blocks.conv import ResidualUnit, transposed
from search_spaces.blocks.lspm import LSPM, TextureRouting
from search_spaces.blocks.resample import resample
from search_spaces.blocks.skip_router import SkipRouter

if TYPE_CHECKING:
    from search_spaces.hybrid import Hybrid


class EncoderLevel(nn.Module):
    """A residual unit, strided on entry, FiLM by the anchors, paths routed by the texture.

    x: (B, C, *S) -> (B, C', *S / stride). The first level may find the texture (B, 1, *S') that it
    and the levels below route by; without anchors or prior the argument is ignored.
    """

    def __init__(self, point: Hybrid, level: int, before: int) -> None:
        super().__init__()
        here, kernel = point.channels[level], point.kernel(level)
        self.unit = _unit(point, level, before, here, stride=point.factor(level))
        self.film = FiLM(3, here, point.anchors) if point.anchors else None
        self.prior = LSPM(3, here, kernel) if point.prior and level == 0 else None
        self.paths = TextureRouting(3, here, kernel=kernel) if point.prior else None

    def forward(
        self, x: torch.Tensor, anchors: torch.Tensor | None, texture: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        y = self.unit(x)
        if self.film is not None and anchors is not None:
            y = self.film(y, anchors)
        if self.prior is not None:
            texture, y = self.prior(y)
        if self.paths is not None and texture is not None:
            y = self.paths(y, resample(texture, y.shape[2:]))
        return y, texture


class Skips(nn.Module):
    """What each decoder level gets from the encoder, the deepest decoder level first.

    `routed`: every level but the shallowest gets a mixture of all encoder levels, chosen at every
    voxel (LightMedSeg, Sec. 3.5); the shallowest one, and all of them otherwise, get their own.
    """

    def __init__(self, point: Hybrid) -> None:
        super().__init__()
        channels = point.channels
        served = channels[-2:0:-1]  # all but the deepest and the shallowest
        self.router = (
            SkipRouter(3, channels, channels[-1], served) if point.skip == "routed" else None
        )

    def forward(self, features: Sequence[torch.Tensor], place: int) -> torch.Tensor:
        own = features[-2 - place]
        if self.router is None or place == len(features) - 2:
            return own
        return self.router(features, place, own.shape[2:])


class DecoderLevel(nn.Module):
    """Transposed convolution, the anchors' position bias, the skip joined, a residual unit.

    x: (B, C, *S), skip: (B, C', *2S) -> (B, C', *2S).
    """

    def __init__(self, point: Hybrid, level: int) -> None:
        super().__init__()
        here, below = point.channels[level : level + 2]
        self.up = transposed(3, below, here, point.factor(level + 1))
        self.bias = PositionBias(3, here, point.anchors) if point.anchors else None
        self.concat = point.skip != "add"
        self.unit = _unit(point, level, 2 * here if self.concat else here, here)

    def forward(
        self, x: torch.Tensor, skip: torch.Tensor, anchors: torch.Tensor | None
    ) -> torch.Tensor:
        y = self.up(x)
        if self.bias is not None and anchors is not None:
            y = y + self.bias(anchors, y.shape[2:])
        return self.unit(torch.cat([y, skip], dim=1) if self.concat else y + skip)


def decoder_level(point: Hybrid, level: int) -> nn.Module:
    """The decoder level that the point asks for; both are called with (x, skip, anchors)."""
    if point.decoder != "adaptive":
        return DecoderLevel(point, level)
    return AdaptiveDecoder(
        3,
        point.channels[level + 1],
        point.channels[level],
        anchors=point.anchors,
        conv=point.conv,
        factor=point.factor(level + 1),
        kernel=point.kernel(level),
    )


def _unit(
    point: Hybrid, level: int, before: int, here: int, stride: Sequence[int] = (1, 1, 1)
) -> ResidualUnit:
    return ResidualUnit(
        3,
        before,
        here,
        convs=point.convs,
        residual=point.residual,
        conv=point.conv,
        norm=point.norm,
        stride=stride,
        kernel=point.kernel(level),
    )
