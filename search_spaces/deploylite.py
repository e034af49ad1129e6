"""Deployment-oriented lightweight transformers: the paper's recipe as a space.

Source: Liu, "Towards Clinical Deployment: A Deployment-Oriented Lightweight Transformer for
Low-Latency Medical Image Segmentation", Sec. 3.2. It names the parts (light convolutions in
shallow stages, light transformers in deep ones, windows of several sizes with an exchange across
them at key layers, parameters shared among heads, low-rank factors, feature fusion) and gives no
layer table: each part is here in the standard form that its block cites. Its "overlapping windows"
and its "dynamic sparse attention" are the choices `halo` and `top`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from search_spaces.space import (
    Architecture,
    LevelledArchitecture,
    Part,
    SearchSpace,
    choice,
    repeat,
)
from search_spaces.stages import Stage, several, ways_down, ways_up
from search_spaces.widths import attention_heads, level_channels

if TYPE_CHECKING:
    from search_spaces.blocks.light_tokens import Exchange
    from search_spaces.networks.deploylite_net import DeployNet, ShallowKind

WINDOWS = (2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True, kw_only=True)
class TokenLevel(Part):
    """The transformer layers of one level, and their windows."""

    depth: int = choice(2, 1, 3, 4, 6, doc="transformer layers")
    window: int = choice(
        4, 0, *(w for w in WINDOWS if w != 4), doc="tokens along a window's axis (0: global)"
    )
    halo: int = choice(
        0,
        1,
        2,
        doc="tokens that a window sees beyond each of its sides: windows overlap",
        when={"window": WINDOWS},
        added_later=2,
    )
    top: int = choice(
        1,
        2,
        4,
        8,
        doc="windows that a window attends to: itself and those nearest to it in feature space "
        "(top-k sparse attention)",
        when={"window": WINDOWS, "halo": (0,)},
        added_later=2,
    )
    shift: bool = choice(
        True,
        False,
        doc="every second layer's windows moved by half a window",
        when={"window": WINDOWS, "halo": (0,), "top": (1,), "depth": (2, 3, 4, 6)},
    )
    exchange: Exchange = choice(
        "pooled",
        "grid",
        "none",
        doc="exchange across windows after the last layer: pooled tokens, dilated windows, none",
        when={"window": WINDOWS},
    )


@dataclass(frozen=True, kw_only=True)
class DeployLite(LevelledArchitecture):
    """Convolutions above, transformers below; see `DeployNet` for what each choice builds."""

    space: ClassVar[str] = "deploylite"

    width: int = choice(16, 8, 24, 32, 48, doc="channels of the first level")
    growth: float = choice(2.0, 1.5, doc="widening from a level to the next, downwards")
    levels: int = choice(4, 3, 5, doc="resolutions")
    stem_stride: int = choice(2, 1, 4, doc="stride of the first level")
    conv: ShallowKind = choice(
        "separable",
        "inverted",
        "ghost",
        "standard",
        doc="convolutions: depthwise separable, inverted bottleneck, ghost, standard",
    )
    convs: int = choice(1, 2, 3, doc="convolutional units of a shallow level")
    token_levels: int = choice(2, 1, doc="levels of transformer layers, the deepest first")
    tokens: tuple[TokenLevel, ...] = repeat(
        TokenLevel, count="token_levels", doc="the transformer levels, the deepest first"
    )
    head_width: int = choice(32, 16, doc="channels of an attention head")
    shared_heads: bool = choice(True, False, doc="one key and value for all heads of a layer")
    share_layers: bool = choice(
        False, True, doc="the same keys and values for every two layers of a level"
    )
    rank_ratio: float = choice(
        0.25, 0.125, 0.375, 1.0, doc="rank of the projections over their width (1: not factorised)"
    )
    mlp_ratio: int = choice(4, 2, 1, doc="hidden width of the MLPs over the channels")
    fusion: str = choice("add", "concat", doc="how the decoder joins the encoder's features")

    @property
    def channels(self) -> list[int]:
        """Channels of every level, the shallowest first; level l is at `stem_stride * 2**l`."""
        return level_channels(self.width, self.growth, self.levels, multiple=8)

    @property
    def heads(self) -> list[int]:
        """Attention heads of every level with transformer layers, the shallowest first."""
        return [attention_heads(c, self.head_width) for c in self.channels[-self.token_levels :]]

    def canonical(self) -> Self:
        """Token levels in their canonical form; no choice of heads where there is none."""
        working = replace(self, tokens=tuple(level.canonical() for level in self.tokens))
        wide = replace(working, head_width=32)
        if wide.heads == working.heads:
            working = wide
        if set(working.heads) == {1}:
            working = replace(working, shared_heads=True)
        return super(DeployLite, working).canonical()

    def divisor(self, level: int) -> int:
        return self.stem_stride * 2**level

    def stride(self) -> int:
        return self.divisor(self.levels - 1)

    def picture(self) -> list[Stage]:
        point = self.canonical()
        divisors = [point.divisor(level) for level in range(point.levels)]
        shallow = point.levels - len(point.tokens)
        units = several(point.convs, f"{point.conv} unit")
        down = ways_down(point.channels[:shallow], divisors[:shallow], units)
        for tokens, heads, level in zip(
            reversed(point.tokens), point.heads, range(shallow, point.levels), strict=True
        ):
            holds = [f"attention, {several(heads, 'head')}"]
            holds += [f"windows of {tokens.window}"] * bool(tokens.window)
            holds += [f"overlapping by {tokens.halo}"] * bool(tokens.halo)
            holds += [f"the {tokens.top} nearest windows"] * (tokens.top > 1)
            holds += [f"{tokens.exchange} exchange"] * (tokens.exchange != "none")
            down.append(
                Stage(
                    name="tokens",
                    divisor=divisors[level],
                    channels=point.channels[level],
                    holds=holds,
                    layers=("both",) * tokens.depth,
                )
            )
        unit = f"1 {point.conv} unit"
        return down + ways_up(point.channels[:-1], divisors[:-1], unit, skip=point.fusion)

    def build(self, in_channels: int, out_channels: int) -> DeployNet:
        from search_spaces.networks.deploylite_net import DeployNet

        return DeployNet(self.canonical(), in_channels, out_channels)


def presets() -> Mapping[str, Architecture]:
    """Two light networks, one for small volumes, and the standard network of m's point."""
    return {
        "deploylite-s": DeployLite(
            tokens=(TokenLevel(depth=2, window=3), TokenLevel(depth=2, window=4)),
        ),
        "deploylite-m": DeployLite(
            width=32,
            convs=2,
            tokens=(TokenLevel(depth=4, window=3), TokenLevel(depth=2, window=6)),
        ),
        "deploylite-standard": DeployLite(
            width=32,
            conv="standard",
            convs=2,
            tokens=(TokenLevel(depth=4, window=0), TokenLevel(depth=2, window=0)),
            shared_heads=False,
            rank_ratio=1.0,
            fusion="concat",
        ),
        "deploylite-xs": DeployLite(
            levels=3,
            convs=2,
            token_levels=1,
            tokens=(TokenLevel(depth=2, window=5),),
            rank_ratio=0.375,
        ),
    }


SPACE = SearchSpace(name="deploylite", kind=DeployLite, presets=presets)
