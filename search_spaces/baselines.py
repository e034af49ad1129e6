"""Well-known networks to set beside every front: MONAI's U-Nets, SegResNet, UNETR, SwinUNETR, and
those that MONAI does not have, 3D UX-Net, SegFormer3D and a U-Net on MobileNetV2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

from search_spaces.axes import ALIKE
from search_spaces.networks.baseline_pictures import baseline_picture
from search_spaces.space import Architecture, AxialArchitecture, SearchSpace, choice, knobs
from search_spaces.stages import Stage
from search_spaces.widths import level_channels

if TYPE_CHECKING:
    from search_spaces.networks.baselines import Strided


PYRAMIDS = ("unet", "segresnet", "nnunet")
STRIDES = {"unetr": 16, "uxnet": 16, "swin-unetr": 32, "segformer3d": 32, "mobile-unet": 32}
SIZES = ("width", "levels", "residual_units")


@dataclass(frozen=True, kw_only=True)
class Baseline(AxialArchitecture):
    """One of the well-known networks at a size."""

    space: ClassVar[str] = "baselines"

    kind: str = choice(
        "unet",
        "segresnet",
        "unetr",
        "swin-unetr",
        "nnunet",
        "uxnet",
        "segformer3d",
        "mobile-unet",
        doc="which network; `nnunet`: the U-Net of nnU-Net's plans; `uxnet`: 3D UX-Net; "
        "`mobile-unet`: a U-Net on MobileNetV2",
    )
    width: int = choice(
        16,
        8,
        32,
        doc="channels of the first level",
        when={"kind": (*PYRAMIDS, "unetr", "segformer3d", "mobile-unet")},
    )
    swin_width: int = choice(
        24, 12, 48, doc="channels of the first level", when={"kind": ("swin-unetr", "uxnet")}
    )
    levels: int = choice(4, 3, 5, doc="resolutions", when={"kind": PYRAMIDS})
    residual_units: int = choice(
        2, 0, 1, doc="convolutions in each residual unit (0: plain ones)", when={"kind": ("unet",)}
    )
    hidden: int = choice(
        768, 192, 384, doc="channels of the transformer", when={"kind": ("unetr",)}
    )

    @property
    def channels(self) -> list[int]:
        """Channels of every level of unet, segresnet and nnunet, the shallowest first."""
        return level_channels(self.width, 2, self.levels)

    def stride(self) -> int:
        return STRIDES.get(self.kind, 2 ** (self.levels - 1))

    def picture(self) -> list[Stage]:
        return baseline_picture(self.canonical())

    def build(self, in_channels: int, out_channels: int) -> Strided:
        from search_spaces.networks.baselines import NETWORKS, Strided

        network = NETWORKS[self.kind](self.canonical(), in_channels, out_channels)
        return Strided(network, self.strides())


def presets() -> Mapping[str, Architecture]:
    """Each network at its usual size, and a small one; `unetr-f32` is SlimFormer-3D's Table 2."""
    return {
        "unet": Baseline(levels=5),
        "unet-s": Baseline(width=8),
        "nnunet": Baseline(kind="nnunet", width=32, levels=5),
        "nnunet-s": Baseline(kind="nnunet", width=8),
        "segresnet": Baseline(kind="segresnet", width=32),
        "segresnet-s": Baseline(kind="segresnet", width=8),
        "unetr": Baseline(kind="unetr"),
        "unetr-f32": Baseline(kind="unetr", width=32),
        "unetr-s": Baseline(kind="unetr", width=8, hidden=192),
        "swin-unetr": Baseline(kind="swin-unetr", swin_width=48),
        "swin-unetr-s": Baseline(kind="swin-unetr", swin_width=12),
        "uxnet": Baseline(kind="uxnet", swin_width=48),
        "uxnet-s": Baseline(kind="uxnet", swin_width=12),
        "segformer3d": Baseline(kind="segformer3d", width=32),
        "segformer3d-s": Baseline(kind="segformer3d", width=8),
        "mobile-unet": Baseline(kind="mobile-unet"),
        "mobile-unet-s": Baseline(kind="mobile-unet", width=8),
    }


def sizes(kind: str) -> list[Baseline]:
    """Every network of one of `PYRAMIDS`, each once."""
    options = [knob.options for knob in knobs(Baseline) if knob.name in SIZES]
    ways: list[dict[str, Any]] = [dict(zip(SIZES, way, strict=True)) for way in product(*options)]
    return list(dict.fromkeys(Baseline(kind=kind, **way).canonical() for way in ways))


def size_name(point: Baseline) -> str:
    """What one of `sizes` is called: a preset's name, else `unet-w8-l3-r1` by kind, width, levels
    and, of a unet, the convolutions of its residual units."""
    alike = point.with_axes(ALIKE).canonical()
    for name, preset in presets().items():
        if preset.canonical() == alike:
            return name
    units = f"-r{point.residual_units}" if point.kind == "unet" else ""
    return f"{point.kind}-w{point.width}-l{point.levels}{units}"


SPACE = SearchSpace(name="baselines", kind=Baseline, presets=presets)
