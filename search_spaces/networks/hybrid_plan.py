"""What a `HybridUNet` is made of; the `hybrid` space's architectures map onto it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search_spaces.blocks.conv import ConvKind, NormKind
from search_spaces.blocks.gated_layer import MachineLock

TokenMixer = Literal["attention", "shared", "adaptive", "mamba", "pool"]


@dataclass(frozen=True, kw_only=True)
class TokenPlan:
    """One token stage.

    `gates`: of every layer. `prune`: the share of tokens that each pruning place drops. `window`:
    tokens mix within windows of that width, 0 for all of them. `rank`: share of the full rank that
    linear maps keep. `prune_queries`, `prune_dependencies` and `grpe` are of the adaptive mixer.
    """

    gates: Sequence[MachineLock]
    mlp_ratio: int
    prune: float
    mixer: TokenMixer
    window: int
    rank: float
    prune_queries: bool
    prune_dependencies: bool
    grpe: bool


@dataclass(frozen=True, kw_only=True)
class HybridPlan:
    """Level l has about `width * growth**l` channels, an even number, at stride
    `stem_stride * 2**l`. `tokens` lists token stages from the deepest level upwards; one without
    layers is left out.
    """

    width: int
    growth: float
    levels: int
    stem_stride: int
    refine: int
    convs: int
    residual: bool
    conv: ConvKind
    norm: NormKind
    skip: Literal["concat", "add", "routed"]
    decoder: Literal["residual", "adaptive"]
    prior: bool
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
