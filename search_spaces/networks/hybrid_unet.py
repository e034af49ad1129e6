"""The U-shaped network that the `hybrid` space spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.blocks.adaptive_pruning import AdaptivelyPruned
from search_spaces.blocks.anchors import AnchorDetector
from search_spaces.blocks.prunable import Units
from search_spaces.networks.hybrid_heads import hybrid_head
from search_spaces.networks.hybrid_levels import DecoderLevel, EncoderLevel, Skips, decoder_level
from search_spaces.networks.hybrid_tokens import token_stage
from search_spaces.networks.input_size import check_size
from search_spaces.networks.unet_streams import hybrid_streams

if TYPE_CHECKING:
    from search_spaces.hybrid import Hybrid


class HybridUNet(AdaptivelyPruned):
    """A residual U-Net with optional ghost convolutions, anchors and token stages.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). Raises ValueError where D, H or W is not a
    multiple of the stride. With no tokens, anchors, prior or adaptive parts and with standard
    convolutions it is a plain residual U-Net (Kerfoot 2018).
    """

    def __init__(self, point: Hybrid, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.strides = point.strides()
        self._channels, self._halved = point.channels, point.stem_stride > 1
        channels = point.channels
        self.encoder = nn.ModuleList(
            EncoderLevel(point, level, before)
            for level, before in enumerate([in_channels, *channels[:-1]])
        )
        self.tokens = nn.ModuleDict(
            {
                str(point.levels - 1 - i): token_stage(stage, channels[-1 - i])
                for i, stage in enumerate(point.tokens)
                if stage.layers
            }
        )
        self.skips = Skips(point)
        self.decoder = nn.ModuleList(
            decoder_level(point, level) for level in reversed(range(point.levels - 1))
        )
        self.detect = (
            AnchorDetector(3, in_channels, point.anchors, point.axes, point.anchors_head)
            if point.anchors
            else None
        )
        self.head = hybrid_head(point, in_channels, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.strides)
        anchors = None if self.detect is None else self.detect(x)
        features: list[torch.Tensor] = []
        y, texture = x, None
        for level, encode in enumerate(self.encoder):
            y, texture = encode(y, anchors, texture)
            if str(level) in self.tokens:
                y = self.tokens[str(level)](y)
            features.append(y)
        for place, decode in enumerate(self.decoder):
            y = decode(y, self.skips(features, place), anchors)
        return self.head(y, x)

    def encoder_stages(self) -> list[list[nn.Module]]:
        """The levels, each with its tokens; see `offers`."""
        return [
            [encode, *(self.tokens[name] for name in [str(level)] if name in self.tokens)]
            for level, encode in enumerate(self.encoder)
        ]

    def prunable(self) -> dict[str, Units]:
        return hybrid_streams(self)

    def decoder_stages(self) -> list[tuple[nn.Module, int]]:
        """The decoder's levels that are coarser than the logits, the finest first, and their
        channels; for losses on them."""
        levels = [
            (level, level.unit.width if isinstance(level, DecoderLevel) else width)
            for level, width in zip(reversed(self.decoder), self._channels[:-1], strict=True)
        ]
        return levels if self._halved else levels[1:]
