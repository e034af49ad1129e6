"""The U-shaped network that the `hybrid` space spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from search_spaces.blocks.anchors import AnchorDetector, FiLM, PositionBias
from search_spaces.blocks.conv import ConvKind, ConvUnit, NormKind, ResidualUnit
from search_spaces.blocks.gated_layer import Gate
from search_spaces.blocks.token_stage import TokenStage


@dataclass(frozen=True, kw_only=True)
class TokenPlan:
    """One token stage: the gate of every layer, the pruning ratio and the MLP's widening."""

    gates: Sequence[Gate]
    prune: float
    mlp_ratio: int


@dataclass(frozen=True, kw_only=True)
class HybridPlan:
    """What `HybridUNet` is made of; the `hybrid` space's architectures map onto it.

    Level l has about `width * growth**l` channels, an even number, at stride `stem_stride * 2**l`.
    `tokens` lists token stages from the deepest level upwards; one without layers is left out.
    """

    width: int
    growth: float
    levels: int
    stem_stride: int
    convs: int
    residual: bool
    conv: ConvKind
    norm: NormKind
    skip: str
    refine: int
    anchors: int
    tokens: Sequence[TokenPlan]

    @property
    def channels(self) -> list[int]:
        """Channels of every level, the shallowest first."""
        return [2 * round(self.width * self.growth**level / 2) for level in range(self.levels)]

    @property
    def stride(self) -> int:
        """The input's D, H and W must be multiples of this."""
        return self.stem_stride * 2 ** (self.levels - 1)


class HybridUNet(nn.Module):
    """A residual U-Net with optional ghost convolutions, anchors and pruned token stages.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). Raises ValueError where D, H or W is not a
    multiple of the stride. With no tokens, no anchors and standard convolutions it is a plain
    residual U-Net (Kerfoot 2018).
    """

    def __init__(self, plan: HybridPlan, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.stride = plan.stride
        channels = plan.channels
        self.encoder = nn.ModuleList(
            EncoderLevel(plan, before, here, stride=plan.stem_stride if level == 0 else 2)
            for level, (before, here) in enumerate(
                zip([in_channels, *channels], channels, strict=False)
            )
        )
        self.tokens = nn.ModuleDict(
            {
                str(plan.levels - 1 - i): TokenStage(
                    channels[-1 - i], stage.gates, stage.prune, stage.mlp_ratio
                )
                for i, stage in enumerate(plan.tokens)
                if stage.gates
            }
        )
        self.decoder = nn.ModuleList(
            DecoderLevel(plan, channels[level + 1], channels[level])
            for level in reversed(range(plan.levels - 1))
        )
        self.detect = AnchorDetector(3, in_channels, plan.anchors) if plan.anchors else None
        self.head = _head(plan, in_channels, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if any(length % self.stride for length in x.shape[2:]):
            raise ValueError(
                f"input of {tuple(x.shape[2:])} voxels; every axis must be a multiple of the "
                f"network's stride, {self.stride}"
            )
        anchors = None if self.detect is None else self.detect(x)
        skips: list[torch.Tensor] = []
        y = x
        for level, encode in enumerate(self.encoder):
            y = encode(y, anchors)
            if str(level) in self.tokens:
                y = self.tokens[str(level)](y)
            skips.append(y)
        skips.pop()
        for decode in self.decoder:
            y = decode(y, skips.pop(), anchors)
        return self.head(y, x)


class EncoderLevel(nn.Module):
    """A residual unit, strided on entry, then FiLM by the anchors if there are any."""

    def __init__(self, plan: HybridPlan, before: int, here: int, stride: int) -> None:
        super().__init__()
        self.unit = ResidualUnit(
            3,
            before,
            here,
            convs=plan.convs,
            residual=plan.residual,
            conv=plan.conv,
            norm=plan.norm,
            stride=stride,
        )
        self.film = FiLM(3, here, plan.anchors) if plan.anchors else None

    def forward(self, x: torch.Tensor, anchors: torch.Tensor | None) -> torch.Tensor:
        y = self.unit(x)
        return y if self.film is None or anchors is None else self.film(y, anchors)


class DecoderLevel(nn.Module):
    """Transposed convolution, the anchors' position bias, the skip joined, a residual unit."""

    def __init__(self, plan: HybridPlan, below: int, here: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(below, here, 2, stride=2)
        self.bias = PositionBias(3, here, plan.anchors) if plan.anchors else None
        self.concat = plan.skip == "concat"
        self.unit = ResidualUnit(
            3,
            2 * here if self.concat else here,
            here,
            convs=plan.convs,
            residual=plan.residual,
            conv=plan.conv,
            norm=plan.norm,
        )

    def forward(
        self, x: torch.Tensor, skip: torch.Tensor, anchors: torch.Tensor | None
    ) -> torch.Tensor:
        y = self.up(x)
        if self.bias is not None and anchors is not None:
            y = y + self.bias(anchors, y.shape[2:])
        return self.unit(torch.cat([y, skip], dim=1) if self.concat else y + skip)


def _head(plan: HybridPlan, in_channels: int, out_channels: int) -> nn.Module:
    if plan.stem_stride == 1:
        return PlainHead(plan.width, out_channels)
    if plan.refine == 0:
        return UpsamplingHead(plan.width, out_channels)
    return RefiningHead(plan, in_channels, out_channels)


class PlainHead(nn.Module):
    """1^3 convolution to logits."""

    def __init__(self, width: int, out_channels: int) -> None:
        super().__init__()
        self.classify = nn.Conv3d(width, out_channels, 1)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.classify(y)


class UpsamplingHead(nn.Module):
    """Transposed convolution from half the input's resolution to logits."""

    def __init__(self, width: int, out_channels: int) -> None:
        super().__init__()
        self.classify = nn.ConvTranspose3d(width, out_channels, 2, stride=2)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.classify(y)


class RefiningHead(nn.Module):
    """Upsamples to `plan.refine` channels, joins the input image, one conv unit, logits."""

    def __init__(self, plan: HybridPlan, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(plan.width, plan.refine, 2, stride=2)
        self.unit = ConvUnit(
            3, plan.refine + in_channels, plan.refine, conv=plan.conv, norm=plan.norm
        )
        self.classify = nn.Conv3d(plan.refine, out_channels, 1)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.classify(self.unit(torch.cat([self.up(y), x], dim=1)))
