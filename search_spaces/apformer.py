"""The space around APFormer (Lin 2022): a small CNN with a transformer that prunes as it goes.

Two other networks of the paper's Table III are here as well, whose attention is pruned in the same
way: a plain transformer (SETR) and a CNN with a transformer at its bottom (TransUNet).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from search_spaces.networks.apformer_net import APFormerNet, APFormerPlan
from search_spaces.networks.attention_pruning import prune_attention
from search_spaces.networks.setr import SETR
from search_spaces.networks.transunet import TransUNet
from search_spaces.space import Architecture, SearchSpace, choice
from search_spaces.stages import Stage, ways_up

WITH_FEATURES = ("apformer", "transunet")


@dataclass(frozen=True, kw_only=True)
class APFormer(Architecture):
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
    norm: str = choice("batch", "instance", "group", doc="normalisation of the convolutions")
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
        doc="epochs before the thresholds' common factor g is trained",
        when={"prune_dependencies": (True,)},
    )

    def stride(self) -> int:
        return 2 ** (self.levels - 1)

    def picture(self) -> list[Stage]:
        prunes_queries = self.prune_queries and self.design in WITH_FEATURES
        words = [f"attention, {self.heads} heads"]
        words += ["prunes queries"] * prunes_queries
        words += ["prunes dependencies"] * self.prune_dependencies
        both = ("both",) * self.layers
        if self.design == "setr":
            tokens = Stage(
                name="tokens",
                side="down",
                divisor=self.stride(),
                channels=self.heads * self.head_channels,
                holds=words,
                layers=both,
            )
            steps = range(self.levels - 1)
            channels, divisors = [self.width * 2**i for i in steps], [2**i for i in steps]
            return [tokens, *ways_up(channels, divisors, "1 conv", skip=None)]
        channels = [self.width * 2**level for level in range(self.levels)]
        down = [
            Stage(
                name="encoder",
                side="down",
                divisor=2**level,
                channels=c,
                holds=["2 convs", *(words if level == self.levels - 1 else ())],
                layers=both if level == self.levels - 1 else (),
            )
            for level, c in enumerate(channels)
        ]
        given = [channels[max(level - 1, 0)] for level in range(self.levels - 1)]
        divisors = [2**level for level in range(self.levels - 1)]
        return down + ways_up(given, divisors, "2 convs", skip="concat")

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        return (
            APFormerNet(self._plan(), in_channels, out_channels)
            if self.design == "apformer"
            else self._plugged(in_channels, out_channels)
        )

    @property
    def _rounds(self) -> int | None:
        return self.frozen_rounds if self.prune_dependencies else None

    def _plan(self) -> APFormerPlan:
        return APFormerPlan(
            spatial_dims=self.spatial_dims,
            width=self.width,
            levels=self.levels,
            norm=self.norm,  # type: ignore[arg-type]
            layers=self.layers,
            heads=self.heads,
            head_channels=self.head_channels,
            mlp_ratio=self.mlp_ratio,
            position=self.position,  # type: ignore[arg-type]
            reach=self.reach,
            regularise=self.regularise,
            confidence=self.confidence if self.prune_queries else 0.0,
            frozen_rounds=self._rounds,
        )

    def _plugged(self, in_channels: int, out_channels: int) -> nn.Module:
        common = {
            "hidden": self.heads * self.head_channels,
            "layers": self.layers,
            "heads": self.heads,
            "mlp_ratio": self.mlp_ratio,
            "width": self.width,
            "norm": self.norm,
        }
        shape = (self.spatial_dims, in_channels, out_channels)
        network: nn.Module
        if self.design == "setr":
            network = SETR(*shape, doublings=self.levels - 1, **common)  # type: ignore[arg-type]
        else:
            network = TransUNet(*shape, levels=self.levels, **common)  # type: ignore[arg-type]
        queries = self.design in WITH_FEATURES and self.prune_queries
        if not queries and not self.prune_dependencies:
            return network
        return prune_attention(
            network,
            frozen_rounds=self._rounds,
            watch=f"encoder.{self.levels - 1}" if queries else None,
            channels=self.width * self.stride(),
            confidence=self.confidence,
            spatial_dims=self.spatial_dims,
        )


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
