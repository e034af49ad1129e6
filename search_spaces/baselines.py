"""Plain networks to set beside every front: MONAI's U-Net, SegResNet, UNETR and SwinUNETR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from search_spaces.networks import baselines
from search_spaces.space import Architecture, SearchSpace, choice


@dataclass(frozen=True, kw_only=True)
class Baseline(Architecture):
    """One of four well-known networks at a size."""

    space: ClassVar[str] = "baselines"

    kind: str = choice("unet", "segresnet", "unetr", "swin-unetr", doc="which network")
    width: int = choice(
        16,
        8,
        32,
        doc="channels of the first level",
        when={"kind": ("unet", "segresnet", "unetr")},
    )
    swin_width: int = choice(
        24, 12, 48, doc="channels of the first level", when={"kind": ("swin-unetr",)}
    )
    levels: int = choice(4, 3, 5, doc="resolutions", when={"kind": ("unet", "segresnet")})
    residual_units: int = choice(
        2, 0, 1, doc="convolutions in each residual unit (0: plain ones)", when={"kind": ("unet",)}
    )
    hidden: int = choice(
        768, 192, 384, doc="channels of the transformer", when={"kind": ("unetr",)}
    )

    def stride(self) -> int:
        if self.kind == "unetr":
            return 16
        return 32 if self.kind == "swin-unetr" else 2 ** (self.levels - 1)

    def build(self, in_channels: int, out_channels: int) -> baselines.Strided:
        if self.kind == "swin-unetr":
            return baselines.swin_unetr(in_channels, out_channels, width=self.swin_width)
        if self.kind == "unetr":
            return baselines.unetr(in_channels, out_channels, width=self.width, hidden=self.hidden)
        if self.kind == "segresnet":
            return baselines.segresnet(
                in_channels, out_channels, width=self.width, levels=self.levels
            )
        return baselines.unet(
            in_channels,
            out_channels,
            width=self.width,
            levels=self.levels,
            residual_units=self.residual_units,
        )


def presets() -> Mapping[str, Architecture]:
    """Each network at its usual size, and a small one; `unetr-f32` is SlimFormer-3D's Table 2."""
    return {
        "unet": Baseline(levels=5),
        "unet-s": Baseline(width=8),
        "segresnet": Baseline(kind="segresnet", width=32),
        "segresnet-s": Baseline(kind="segresnet", width=8),
        "unetr": Baseline(kind="unetr"),
        "unetr-f32": Baseline(kind="unetr", width=32),
        "unetr-s": Baseline(kind="unetr", width=8, hidden=192),
        "swin-unetr": Baseline(kind="swin-unetr", swin_width=48),
        "swin-unetr-s": Baseline(kind="swin-unetr", swin_width=12),
    }


SPACE = SearchSpace(name="baselines", kind=Baseline, presets=presets)
