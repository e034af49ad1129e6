"""LightMedSeg: a U-Net of half a million parameters, steered by anchors, texture and routing.

Source: LightMedSeg (Tyagi, Rathi, Goyal), Sec. 3; its ablations (Table 4) are presets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from search_spaces.space import Architecture, LevelledArchitecture, SearchSpace, choice
from search_spaces.stages import Stage, several, ways_down
from search_spaces.widths import level_channels

if TYPE_CHECKING:
    from search_spaces.blocks.anchors import AnchorsHead
    from search_spaces.blocks.conv import ConvKind
    from search_spaces.blocks.lspm import DetailKind
    from search_spaces.networks.lightmedseg_net import LightMedSegNet

DIRECT_SKIPS = 2  # decoder stages at the stem's resolution: their skips are never routed


@dataclass(frozen=True, kw_only=True)
class LightMedSeg(LevelledArchitecture):
    """A small U-Net steered by anchors, texture and routed skips; by default the published one.

    See `LightMedSegNet` for what each choice builds.
    """

    space: ClassVar[str] = "lightmedseg"

    width: int = choice(8, 4, 12, 16, 24, doc="channels of the stem and the first stage")
    growth: float = choice(2.0, 1.5, doc="widening from a stage to the next, downwards")
    stages: int = choice(4, 3, 5, doc="encoder stages, each at its own resolution")
    stem_stride: int = choice(2, 1, doc="stride of the first convolution")
    conv: ConvKind = choice("ghost", "standard", doc="ghost or standard convolutions")
    convs: int = choice(2, 1, doc="convolutions of an encoder stage before its two paths")
    detail: DetailKind = choice("dense", "depthwise", doc="3^3 convolution of the detail path")
    anchors: int = choice(8, 0, 4, 16, 32, doc="learned spatial anchors (0: none)")
    anchors_head: AnchorsHead = choice(
        "pooled",
        "soft-argmax",
        doc="how anchors are found: from each channel's mean over the volume, as published, which "
        "is nearly the same in every case; or as the place where a map is highest",
        when={"anchors": (4, 8, 16, 32)},
        added_later=2,
    )
    lspm: bool = choice(True, False, doc="structural prior, and routing by its texture map")
    router: bool = choice(True, False, doc="the lower skips mix all encoder stages")
    mixing: bool = choice(True, False, doc="three mixed paths in the decoder, or one")
    squeeze: bool = choice(True, False, doc="squeeze-and-excitation after every stage")

    @property
    def channels(self) -> list[int]:
        """Channels of every encoder stage, the shallowest first; stage i is at
        `stem_stride * 2**i`."""
        return level_channels(self.width, self.growth, self.stages, multiple=4)

    @property
    def routed_skips(self) -> int:
        """Decoder stages, of the deepest, whose skips mix all encoder stages."""
        return self.stages - DIRECT_SKIPS if self.router else 0

    def divisor(self, level: int) -> int:
        return self.stem_stride * 2**level

    def stride(self) -> int:
        return self.divisor(self.stages - 1)

    def picture(self) -> list[Stage]:
        channels = self.channels
        divisors = [self.divisor(stage) for stage in range(self.stages)]
        holds = [several(self.convs, f"{self.conv} conv")]
        anchors = "anchors" if self.anchors_head == "pooled" else f"{self.anchors_head} anchors"
        holds += [f"FiLM by {self.anchors} {anchors}"] * bool(self.anchors)
        holds += ["texture routing"] if self.lspm else ["detail path"]
        holds += ["squeeze-excite"] * self.squeeze
        up = [
            Stage(
                name="decoder",
                side="up",
                divisor=divisors[max(self.stages - 2 - i, 0)],
                channels=c,
                holds=["3 mixed paths" if self.mixing else "1 path"]
                + ["position bias"] * bool(self.anchors),
                skip="routed" if i < self.routed_skips else "1^3 conv",
            )
            for i, c in enumerate(reversed(channels))
        ]
        return ways_down(channels, divisors, *holds) + up

    def build(self, in_channels: int, out_channels: int) -> LightMedSegNet:
        from search_spaces.networks.lightmedseg_net import LightMedSegNet

        return LightMedSegNet(self.canonical(), in_channels, out_channels)


def presets() -> Mapping[str, Architecture]:
    """The published network, Table 4's variants of it, the text's own reading, and one for volumes
    of 40 x 56 x 40.

    `lightmedseg-text` is what Sec. 3 writes, word for word: one ghost convolution a stage, and a
    depthwise detail path (Eq. 7). It has 264,098 parameters where the tables have 0.48 M.
    """
    return {
        "lightmedseg": LightMedSeg(),
        "lightmedseg-standard": LightMedSeg(conv="standard"),
        "lightmedseg-k16": LightMedSeg(anchors=16),
        "lightmedseg-k32": LightMedSeg(anchors=32),
        "lightmedseg-no-lspm": LightMedSeg(lspm=False),
        "lightmedseg-no-anchors": LightMedSeg(anchors=0),
        "lightmedseg-no-router": LightMedSeg(router=False),
        "lightmedseg-text": LightMedSeg(convs=1, detail="depthwise"),
        "lightmedseg-small": LightMedSeg(stages=3),
    }


SPACE = SearchSpace(name="lightmedseg", kind=LightMedSeg, presets=presets)
