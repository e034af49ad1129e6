"""The network that the `lightmedseg` space spans (LightMedSeg, Sec. 3)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import max_pool3d

from search_spaces.blocks.adaptive_decoder import AdaptiveDecoder
from search_spaces.blocks.anchors import AnchorDetector, FiLM
from search_spaces.blocks.conv import four_group_norm, make_conv, transposed
from search_spaces.blocks.lspm import LSPM, TextureRouting, detail_path
from search_spaces.blocks.resample import resample
from search_spaces.blocks.skip_router import SkipRouter
from search_spaces.blocks.squeeze_excite import SqueezeExcite
from search_spaces.networks.input_size import check_size

if TYPE_CHECKING:
    from search_spaces.lightmedseg import LightMedSeg


class LightMedSegNet(nn.Module):
    """A small U-Net steered by anchors, by texture and by routed skips.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). Raises ValueError where D, H or W is not a
    multiple of the stride.

    The paper's four doublings and a final one would give twice the input's size; here the last
    decoder stage keeps the stem's resolution and the head alone restores the input's.
    """

    def __init__(self, point: LightMedSeg, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.strides = point.strides()
        first, *_, deepest = channels = point.channels
        self.stem = nn.Sequential(
            make_conv(point.conv, 3, in_channels, first, point.factor(0), point.kernel(0)),
            four_group_norm(first),
        )
        self.detect = (
            AnchorDetector(3, in_channels, point.anchors, point.axes, point.anchors_head)
            if point.anchors
            else None
        )
        self.prior = LSPM(3, first, point.kernel(0)) if point.lspm else None
        self.encoder = nn.ModuleList(
            EncoderStage(point, stage, before, here)
            for stage, (before, here) in enumerate(pairwise([first, *channels]))
        )
        self._pools = [point.factor(stage) for stage in range(1, point.stages)]
        self.bottleneck = nn.Conv3d(deepest, deepest, 1)
        widths = channels[::-1]  # of the decoder's stages
        sources = [*widths[1:], first]  # of their skips where they are not routed
        routed = point.routed_skips
        self.router = SkipRouter(3, channels, deepest, widths[:routed]) if routed else None
        self.skips = nn.ModuleList(
            nn.Conv3d(a, b, 1) for a, b in zip(sources[routed:], widths[routed:], strict=True)
        )
        levels = [*reversed(range(point.stages - 1)), 0]  # of the decoder's stages
        self.decoder = nn.ModuleList(
            AdaptiveDecoder(
                3,
                before,
                here,
                anchors=point.anchors,
                conv=point.conv,
                factor=point.factor(level + 1) if stage < point.stages - 1 else 1,
                kernel=point.kernel(level),
                mixing=point.mixing,
                squeeze=point.squeeze,
            )
            for stage, (level, (before, here)) in enumerate(
                zip(levels, pairwise([deepest, *widths]), strict=True)
            )
        )
        self.head = nn.Sequential(nn.Conv3d(first, out_channels, 1))
        if point.stem_stride == 2:
            self.head.append(transposed(3, out_channels, out_channels, point.factor(0)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.strides)
        anchors = None if self.detect is None else self.detect(x)
        stem = self.stem(x)
        texture, y = (None, stem) if self.prior is None else self.prior(stem)
        features: list[torch.Tensor] = []
        for stage, encode in enumerate(self.encoder):
            y = encode(max_pool3d(y, self._pools[stage - 1]) if stage else y, anchors, texture)
            features.append(y)
        y = self.bottleneck(y)
        sources = [*features[-2::-1], stem]
        for stage, decode in enumerate(self.decoder):
            y = decode(y, self._skip(stage, sources[stage], features), anchors)
        return self.head(y)

    def encoder_stages(self) -> list[list[nn.Module]]:
        """The stem with the structural prior, each stage, the bottleneck; see `offers`."""
        prior = [] if self.prior is None else [self.prior]
        return [[self.stem, *prior], *([stage] for stage in self.encoder), [self.bottleneck]]

    def _skip(self, stage: int, source: torch.Tensor, features: list[torch.Tensor]) -> torch.Tensor:
        """For that decoder stage, of the size of `source`, which it is where none is routed."""
        routed = len(self.decoder) - len(self.skips)
        if self.router is not None and stage < routed:
            return self.router(features, stage, source.shape[2:])
        return self.skips[stage - routed](source)


class EncoderStage(nn.Module):
    """Convolutions conditioned by the anchors, the two paths, squeeze-and-excitation (Sec. 3.4).

    y: (B, C_before, *S), texture: (B, 1, *any size) -> (B, C_here, *S). The text's single ghost
    convolution is doubled by default: the reading that has the published number of parameters.
    """

    def __init__(self, point: LightMedSeg, stage: int, before: int, here: int) -> None:
        super().__init__()
        widths, kernel = [before] + [here] * point.convs, point.kernel(stage)
        self.convs = nn.Sequential(
            *(make_conv(point.conv, 3, a, b, kernel=kernel) for a, b in pairwise(widths))
        )
        self.film = FiLM(3, here, point.anchors) if point.anchors else None
        paths = TextureRouting if point.lspm else detail_path
        self.paths = paths(3, here, point.detail, kernel)
        self.squeeze = SqueezeExcite(here) if point.squeeze else nn.Identity()

    def forward(
        self, y: torch.Tensor, anchors: torch.Tensor | None, texture: torch.Tensor | None
    ) -> torch.Tensor:
        y = self.convs(y)
        if self.film is not None and anchors is not None:
            y = self.film(y, anchors)
        if texture is None:
            return self.squeeze(self.paths(y))
        return self.squeeze(self.paths(y, resample(texture, y.shape[2:])))
