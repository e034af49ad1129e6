"""The main space: the ideas of the five papers as knobs of one U-shape.

Sources: SlimFormer-3D (layer gating, mixers, windows), Zhou 2023 (STP and MTA), APFormer (pruned
queries and dependencies, GRPE), LightMedSeg (anchors, ghost convolutions, structural prior, skip
router, adaptive decoder), Liu, "Towards Clinical Deployment" (shared heads, low rank).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from search_spaces.networks.hybrid_picture import hybrid_picture
from search_spaces.space import (
    Architecture,
    LevelledArchitecture,
    Part,
    SearchSpace,
    choice,
    repeat,
)
from search_spaces.stages import Stage
from search_spaces.widths import level_channels

if TYPE_CHECKING:
    from search_spaces.blocks.anchors import AnchorsHead
    from search_spaces.blocks.conv import ConvKind, NormKind
    from search_spaces.blocks.gated_layer import Gate
    from search_spaces.networks.hybrid_unet import HybridUNet


PRUNED = (0.25, 0.5, 0.75, 0.9)
SPARSE_MIXERS = ("attention", "shared", "mamba")  # that need no grid, and so take pruned tokens


@dataclass(frozen=True, kw_only=True)
class Layer(Part):
    """One transformer layer."""

    gate: Gate = choice(
        "both", "mixer", "mlp", "none", doc="parts kept: token mixer and MLP, one of them, neither"
    )


@dataclass(frozen=True, kw_only=True)
class TokenStage(Part):
    """Transformer layers at one resolution, and what they leave out."""

    layers_count: int = choice(0, 1, 2, 3, 4, doc="transformer layers")
    layers: tuple[Layer, ...] = repeat(Layer, count="layers_count", doc="the layers, in order")
    mlp_ratio: int = choice(2, 1, 4, doc="hidden width of the MLPs over the channels")
    mixer: str = choice(
        "attention",
        "shared",
        "adaptive",
        "mamba",
        "pool",
        doc="token mixer; `shared`: attention with one key and value for all heads; `adaptive`: "
        "attention with the pruning choices below; `pool`: mean of the neighbours",
        added_later=True,
    )
    rank: float = choice(
        1.0,
        0.5,
        0.25,
        doc="share of the full rank that the linear maps of attention and MLPs keep; with "
        "`adaptive` those of the MLPs alone, with `shared` keys and values are whole",
        added_later=True,
    )
    prune: float = choice(
        0.0,
        0.25,
        0.5,
        0.75,
        0.9,
        doc="share of tokens that each pruning place drops (needs three layers); on small volumes "
        "learned scores were no better than random ones",
        when={"layers_count": (3, 4), "mixer": SPARSE_MIXERS},
    )
    places: int = choice(
        2,
        1,
        doc="pruning places, after the first layers",
        when={"layers_count": (4,), "prune": PRUNED, "mixer": SPARSE_MIXERS},
        added_later=2,
    )
    tau: float = choice(
        1.0,
        0.1,
        0.01,
        doc="temperature of the gradient of the soft top-K",
        when={"layers_count": (3, 4), "prune": PRUNED, "mixer": SPARSE_MIXERS},
        added_later=2,
    )
    noiseless: bool = choice(
        False,
        True,
        doc="train without Gumbel noise on the scores of tokens",
        when={"layers_count": (3, 4), "prune": PRUNED, "mixer": SPARSE_MIXERS},
        added_later=2,
    )
    window: int = choice(
        0,
        2,
        4,
        8,
        doc="width of the windows in which tokens mix (0: all tokens)",
        when={"mixer": SPARSE_MIXERS, "prune": (0.0,)},
        added_later=True,
    )
    directions: int = choice(
        1,
        2,
        doc="in which Mamba scans the tokens: in their order, or in both",
        when={"mixer": ("mamba",)},
        added_later=2,
    )
    prune_queries: bool = choice(
        False,
        True,
        doc="leave out the queries of what is surely background",
        when={"mixer": ("adaptive",)},
        added_later=True,
    )
    confidence: float = choice(
        0.9,
        0.7,
        0.8,
        0.95,
        doc="probability of background from which on a query is left out",
        when={"mixer": ("adaptive",), "prune_queries": (True,)},
        added_later=2,
    )
    prune_dependencies: bool = choice(
        False,
        True,
        doc="leave out what a query attends to little",
        when={"mixer": ("adaptive",)},
        added_later=True,
    )
    grpe: bool = choice(
        False,
        True,
        doc="Gaussian-prior relative position embedding",
        when={"mixer": ("adaptive",)},
        added_later=True,
    )
    regularise: bool = choice(
        True,
        False,
        doc="train towards symmetric, certain attention",
        when={"mixer": ("adaptive",)},
        added_later=2,
    )

    @property
    def gates(self) -> list[Gate]:
        """The gate of every layer, in order."""
        return [layer.gate for layer in self.layers]

    def canonical(self) -> Self:
        """Layers without work are dropped, and with them choices that no longer do anything."""
        layers = tuple(layer for layer in self.layers if layer.gate != "none")
        working = replace(self, layers_count=len(layers), layers=layers)
        working = super(TokenStage, working).canonical()  # by the mixer that it has
        if all(layer.gate == "mlp" for layer in layers):
            working = replace(working, mixer=TokenStage.mixer, window=TokenStage.window)
        if all(layer.gate == "mixer" for layer in layers):
            working = replace(working, mlp_ratio=2)
            if not layers or working.mixer not in ("attention", "shared"):
                working = replace(working, rank=1.0)
        return super(TokenStage, working).canonical()


@dataclass(frozen=True, kw_only=True)
class Hybrid(LevelledArchitecture):
    """A residual U-Net; see `HybridUNet` for what each choice builds."""

    space: ClassVar[str] = "hybrid"

    width: int = choice(8, 4, 6, 12, 16, 24, 32, doc="channels of the first level")
    growth: float = choice(2.0, 1.5, 1.0, doc="widening from a level to the next, downwards")
    levels: int = choice(3, 4, 5, doc="resolutions")
    stem_stride: int = choice(2, 1, doc="stride of the first convolution")
    refine: int = choice(
        4,
        0,
        8,
        doc="channels of the full-resolution refinement",
        when={"stem_stride": (2,)},
        for_classes=True,
    )
    coarse_logits: bool = choice(
        False,
        True,
        doc="the first level's features give logits, too, beside the refinement (where they have "
        "as many channels as there are classes)",
        when={"stem_stride": (2,), "refine": (4, 8)},
        added_later=True,
        usual=True,
    )
    convs: int = choice(2, 1, 3, doc="convolutions in each unit")
    residual: bool = choice(True, False, doc="a shortcut around each unit")
    conv: ConvKind = choice("standard", "ghost", doc="standard or ghost convolutions")
    norm: NormKind = choice("instance", "batch", "group", doc="normalisation of the convolutions")
    skip: str = choice(
        "concat",
        "add",
        "routed",
        doc="how the decoder joins the encoder's features; `routed`: a mixture of all levels, "
        "chosen at every voxel",
    )
    decoder: str = choice(
        "residual",
        "adaptive",
        doc="units of the decoder; `adaptive`: three paths, mixed at every voxel",
        added_later=True,
    )
    prior: bool = choice(
        False,
        True,
        doc="local structural prior, whose texture map routes two paths",
        added_later=True,
    )
    anchors: int = choice(0, 4, 8, 16, 32, doc="learned spatial anchors (0: none)")
    anchors_head: AnchorsHead = choice(
        "pooled",
        "soft-argmax",
        doc="how anchors are found: from each channel's mean over the volume, as published, which "
        "is nearly the same in every case; or as the place where a map is highest",
        when={"anchors": (4, 8, 16, 32)},
        added_later=2,
    )
    token_stages: int = choice(0, 1, 2, doc="levels with transformer layers, the deepest first")
    tokens: tuple[TokenStage, ...] = repeat(
        TokenStage, count="token_stages", doc="the token stages, the deepest level first"
    )

    @property
    def channels(self) -> list[int]:
        """Channels of every level, the shallowest first; level l is at `stem_stride * 2**l`."""
        return level_channels(self.width, self.growth, self.levels, multiple=2)

    def canonical(self) -> Self:
        """Token stages without layers are empty records below a stage with layers, and dropped
        above the last of these."""
        tokens = [stage.canonical() for stage in self.tokens]
        while tokens and tokens[-1].layers_count == 0:
            tokens.pop()
        joins = "concat" if self.decoder == "adaptive" and self.skip == "add" else self.skip
        working = replace(self, skip=joins, token_stages=len(tokens), tokens=tuple(tokens))
        return super(Hybrid, working).canonical()

    def divisor(self, level: int) -> int:
        return self.stem_stride * 2**level

    def stride(self) -> int:
        return self.divisor(self.levels - 1)

    def picture(self) -> list[Stage]:
        return hybrid_picture(self.canonical())

    def build(self, in_channels: int, out_channels: int) -> HybridUNet:
        from search_spaces.networks.hybrid_unet import HybridUNet

        return HybridUNet(self.canonical(), in_channels, out_channels)


def presets() -> Mapping[str, Architecture]:
    """Points to start from: plain residual U-Nets of four sizes, and one for each idea."""
    two_layers = TokenStage(layers_count=2, layers=(Layer(),) * 2)
    pruned = TokenStage(layers_count=3, layers=(Layer(),) * 3, prune=0.5)
    mamba = TokenStage(
        layers_count=2, layers=(Layer(), Layer(gate="mixer")), mixer="mamba", window=2
    )
    adaptive = TokenStage(
        layers_count=2,
        layers=(Layer(),) * 2,
        mixer="adaptive",
        prune_queries=True,
        prune_dependencies=True,
        grpe=True,
    )
    light = TokenStage(layers_count=2, layers=(Layer(),) * 2, mixer="shared", rank=0.5, window=4)

    def with_tokens(stage: TokenStage) -> Hybrid:
        return Hybrid(width=12, growth=1.5, convs=1, token_stages=1, tokens=(stage,))

    return {
        "hybrid-xs": Hybrid(width=6, growth=1.0, skip="add"),
        "hybrid-s": Hybrid(width=8, growth=1.0, refine=8, skip="add"),
        "hybrid-m": Hybrid(width=16, growth=1.0, refine=8, skip="add"),
        "hybrid-l": Hybrid(width=24, growth=1.5, refine=8),
        "hybrid-tokens": with_tokens(two_layers),
        "hybrid-pruned": with_tokens(pruned),
        "hybrid-mamba": with_tokens(mamba),
        "hybrid-adaptive": with_tokens(adaptive),
        "hybrid-light": with_tokens(light),
        "hybrid-anchors": Hybrid(anchors=8),
        "hybrid-ghost": Hybrid(width=12, conv="ghost"),
        "hybrid-routed": Hybrid(
            width=12, growth=1.5, convs=1, prior=True, skip="routed", decoder="adaptive"
        ),
    }


SPACE = SearchSpace(name="hybrid", kind=Hybrid, presets=presets)
