"""The space around APFormer (Lin 2022): a small CNN with a transformer that prunes as it goes.

Two other networks of the paper's Table III are here as well, whose attention is pruned in the same
way: a plain transformer (SETR) and a CNN with a transformer at its bottom (TransUNet).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from search_spaces.space import Architecture, AxialArchitecture, SearchSpace, choice
from search_spaces.stages import Stage, ways_down, ways_up
from search_spaces.widths import level_channels

if TYPE_CHECKING:
    from torch import nn

    from search_spaces.blocks.conv import NormKind

WITH_FEATURES = ("apformer", "transunet")


@dataclass(frozen=True, kw_only=True)
class APFormer(AxialArchitecture):
    """A transformer-CNN hybrid in the plane or in space; see `APFormerNet`, `SETR`, `TransUNet`."""

    space: ClassVar[str] = "apformer"

    design: str = choice(
        "apformer", "setr", "transunet", doc="the network whose attention is pruned"
    )
    spatial_dims: int = choice(
        2, 3, doc="2 segments slice by slice along the first axis, 3 whole volumes"
    )
    width: int = choice(16, 4, 8, 12, 24, 32, doc="channels at full resolution, doubled downwards")
    levels: int = choice(4, 3, 5, doc="resolutions; setr: patches are 2**(levels - 1) voxels wide")
    norm: NormKind = choice("batch", "instance", "group", doc="normalisation of the convolutions")
    layers: int = choice(4, 1, 2, 3, 6, 8, doc="transformer layers")
    heads: int = choice(6, 1, 2, 3, 4, 8, doc="attention heads")
    head_channels: int = choice(
        128, 16, 32, 64, doc="channels of a head; setr, transunet: tokens are heads times as wide"
    )
    mlp_ratio: int = choice(4, 1, 2, doc="hidden width of the MLPs over the tokens' channels")
    position: str = choice(
        "grpe",
        "grpe-shared",
        "sincos",
        "none",
        doc="position: Gaussian and relative table (one a head, or one for all), sines, none",
        when={"design": ("apformer",)},
    )
    reach: int = choice(
        32,
        8,
        12,
        16,
        doc="patches along an axis for which the relative table has entries of their own",
        when={"design": ("apformer",), "position": ("grpe", "grpe-shared")},
    )
    regularise: bool = choice(
        True,
        False,
        doc="train towards symmetric, certain attention",
        when={"design": ("apformer",)},
    )
    prune_queries: bool = choice(
        True, False, doc="sure background asks nothing", when={"design": WITH_FEATURES}
    )
    confidence: float = choice(
        0.9,
        0.7,
        0.8,
        0.95,
        doc="probability of background from which on a query is pruned",
        when={"design": WITH_FEATURES, "prune_queries": (True,)},
    )
    prune_dependencies: bool = choice(
        True, False, doc="a query looks away from what is below a threshold of its own"
    )
    frozen_rounds: int = choice(
        100,
        0,
        5,
        20,
        doc="epochs of 400, or that share of any schedule, before the thresholds' common factor g "
        "is trained",
        when={"prune_dependencies": (True,)},
    )

    @property
    def channels(self) -> list[int]:
        """Channels of the convolutions at every resolution, the shallowest first."""
        return level_channels(self.width, 2, self.levels)

    @property
    def hidden(self) -> int:
        """Channels of a token of setr and transunet."""
        return self.heads * self.head_channels

    @property
    def gated(self) -> bool:
        """Whether queries are pruned: by a gate that looks at features, which setr has none of."""
        return self.prune_queries and self.design in WITH_FEATURES

    @property
    def rounds(self) -> int | None:
        """`frozen_rounds` where dependencies are pruned, else None."""
        return self.frozen_rounds if self.prune_dependencies else None

    def stride(self) -> int:
        return 2 ** (self.levels - 1)

    def picture(self) -> list[Stage]:
        words = [f"attention, {self.heads} heads"]
        words += ["prunes queries"] * self.gated
        words += ["prunes dependencies"] * self.prune_dependencies
        both = ("both",) * self.layers
        channels, divisors = self.channels, [2**level for level in range(self.levels - 1)]
        if self.design == "setr":
            tokens = Stage(
                name="tokens",
                divisor=self.stride(),
                channels=self.hidden,
                holds=words,
                layers=both,
            )
            return [tokens, *ways_up(channels[:-1], divisors, "1 conv", skip=None)]
        down = ways_down(channels[:-1], divisors, "2 convs")
        deepest = Stage(
            name="encoder",
            divisor=self.stride(),
            channels=channels[-1],
            holds=["2 convs", *words],
            layers=both,
        )
        given = [channels[max(level - 1, 0)] for level in range(self.levels - 1)]
        return [*down, deepest, *ways_up(given, divisors, "2 convs", skip="concat")]

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        from search_spaces.networks.apformer_designs import build_design

        return build_design(self.canonical(), in_channels, out_channels)


def presets() -> Mapping[str, Architecture]:
    """The paper's network, two of crops' size, and the plugged networks with and without pruning.

    `apformer` is that of Tables I and II at 256^2, `-unpruned` its APFormer- of Tables III and IV.
    """
    small = APFormer(
        width=8, layers=2, heads=2, head_channels=32, mlp_ratio=2, reach=8, frozen_rounds=5
    )
    setr = APFormer(design="setr", levels=5, layers=8, heads=8, head_channels=64)
    transunet = APFormer(design="transunet", levels=5, layers=6, heads=6, head_channels=64)
    return {
        "apformer": APFormer(),
        "apformer-unpruned": APFormer(prune_queries=False, prune_dependencies=False),
        "apformer-3d": APFormer(spatial_dims=3, reach=12),
        "apformer-xs": small,
        "apformer-3d-xs": replace(small, spatial_dims=3),
        "setr": replace(setr, prune_dependencies=False),
        "setr-pruned": setr,
        "transunet": replace(transunet, prune_queries=False, prune_dependencies=False),
        "transunet-pruned": transunet,
    }


SPACE = SearchSpace(name="apformer", kind=APFormer, presets=presets)
