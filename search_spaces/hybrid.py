"""The main space: layer gates, token pruning, anchors and ghost convolutions in one U-shape.

Sources: SlimFormer-3D (layer gating), Zhou 2023 (STP and MTA), LightMedSeg (anchors, ghost
convolutions). Every knob is independent of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from search_spaces.networks.hybrid_unet import HybridPlan, HybridUNet, TokenPlan
from search_spaces.space import Architecture, Part, SearchSpace, choice, repeat


@dataclass(frozen=True, kw_only=True)
class Layer(Part):
    """One transformer layer."""

    gate: str = choice(
        "both", "mixer", "mlp", "none", doc="parts kept: token mixer and MLP, one of them, neither"
    )


@dataclass(frozen=True, kw_only=True)
class TokenStage(Part):
    """Transformer layers at one resolution, and the share of tokens dropped between them."""

    layers_count: int = choice(0, 1, 2, 3, 4, doc="transformer layers")
    layers: tuple[Layer, ...] = repeat(Layer, count="layers_count", doc="the layers, in order")
    mlp_ratio: int = choice(2, 1, 4, doc="hidden width of the MLPs over the channels")
    prune: float = choice(
        0.0,
        0.25,
        0.5,
        0.75,
        0.9,
        doc="share of tokens that each pruning place drops (needs three layers)",
        when={"layers_count": (3, 4)},
    )

    def canonical(self) -> Self:
        """Layers without work are dropped, and with them choices that no longer do anything."""
        layers = tuple(layer for layer in self.layers if layer.gate != "none")
        mlp_ratio = self.mlp_ratio if any(layer.gate != "mixer" for layer in layers) else 2
        working = replace(self, layers_count=len(layers), layers=layers, mlp_ratio=mlp_ratio)
        return super(TokenStage, working).canonical()


@dataclass(frozen=True, kw_only=True)
class Hybrid(Architecture):
    """A residual U-Net; see `HybridUNet` for what each choice builds."""

    space: ClassVar[str] = "hybrid"

    width: int = choice(8, 4, 6, 12, 16, 24, 32, doc="channels of the first level")
    growth: float = choice(2.0, 1.5, 1.0, doc="widening from a level to the next, downwards")
    levels: int = choice(3, 4, 5, doc="resolutions")
    stem_stride: int = choice(2, 1, doc="stride of the first convolution")
    refine: int = choice(
        4, 0, 8, doc="channels of the full-resolution refinement", when={"stem_stride": (2,)}
    )
    convs: int = choice(2, 1, 3, doc="convolutions in each unit")
    residual: bool = choice(True, False, doc="a shortcut around each unit")
    conv: str = choice("standard", "ghost", doc="standard or ghost convolutions")
    norm: str = choice("instance", "batch", "group", doc="normalisation of the convolutions")
    skip: str = choice("concat", "add", doc="how the decoder joins the encoder's features")
    anchors: int = choice(0, 4, 8, 16, 32, doc="learned spatial anchors (0: none)")
    token_stages: int = choice(0, 1, 2, doc="levels with transformer layers, the deepest first")
    tokens: tuple[TokenStage, ...] = repeat(
        TokenStage, count="token_stages", doc="the token stages, the deepest level first"
    )

    def canonical(self) -> Self:
        """Idle token stages below a working one stay as empty records; others are dropped."""
        tokens = [stage.canonical() for stage in self.tokens]
        while tokens and tokens[-1].layers_count == 0:
            tokens.pop()
        working = replace(self, token_stages=len(tokens), tokens=tuple(tokens))
        return super(Hybrid, working).canonical()

    def stride(self) -> int:
        return self._plan().stride

    def build(self, in_channels: int, out_channels: int) -> HybridUNet:
        return HybridUNet(self._plan(), in_channels, out_channels)

    def _plan(self) -> HybridPlan:
        tokens = [
            TokenPlan(
                gates=[layer.gate for layer in stage.layers],  # type: ignore[misc]
                prune=stage.prune,
                mlp_ratio=stage.mlp_ratio,
            )
            for stage in self.canonical().tokens
        ]
        return HybridPlan(
            width=self.width,
            growth=self.growth,
            levels=self.levels,
            stem_stride=self.stem_stride,
            convs=self.convs,
            residual=self.residual,
            conv=self.conv,  # type: ignore[arg-type]
            norm=self.norm,  # type: ignore[arg-type]
            skip=self.skip,
            refine=self.refine,
            anchors=self.anchors,
            tokens=tokens,
        )


def presets() -> Mapping[str, Architecture]:
    """Points to start from: plain residual U-Nets of four sizes, and one for each idea."""
    two_layers = TokenStage(layers_count=2, layers=(Layer(),) * 2)
    pruned = TokenStage(layers_count=3, layers=(Layer(),) * 3, prune=0.5)
    return {
        "hybrid-xs": Hybrid(width=6, growth=1.0, skip="add"),
        "hybrid-s": Hybrid(width=8, growth=1.0, refine=8, skip="add"),
        "hybrid-m": Hybrid(width=16, growth=1.0, refine=8, skip="add"),
        "hybrid-l": Hybrid(width=24, growth=1.5, refine=8),
        "hybrid-tokens": Hybrid(
            width=12, growth=1.5, convs=1, token_stages=1, tokens=(two_layers,)
        ),
        "hybrid-pruned": Hybrid(width=12, growth=1.5, convs=1, token_stages=1, tokens=(pruned,)),
        "hybrid-anchors": Hybrid(anchors=8),
        "hybrid-ghost": Hybrid(width=12, conv="ghost"),
    }


SPACE = SearchSpace(name="hybrid", kind=Hybrid, presets=presets)
