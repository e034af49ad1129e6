"""Plain networks to set beside every front: MONAI's U-Nets, SegResNet, UNETR and SwinUNETR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

from search_spaces.axes import ALIKE
from search_spaces.space import Architecture, AxialArchitecture, SearchSpace, choice, knobs
from search_spaces.stages import Stage, several, ways_down, ways_up
from search_spaces.widths import level_channels

if TYPE_CHECKING:
    from search_spaces.networks.baselines import Strided


PYRAMIDS = ("unet", "segresnet", "nnunet")
SIZES = ("width", "levels", "residual_units")


@dataclass(frozen=True, kw_only=True)
class Baseline(AxialArchitecture):
    """One of five well-known networks at a size."""

    space: ClassVar[str] = "baselines"

    kind: str = choice(
        "unet",
        "segresnet",
        "unetr",
        "swin-unetr",
        "nnunet",
        doc="which network; `nnunet`: the U-Net of nnU-Net's plans",
    )
    width: int = choice(
        16,
        8,
        32,
        doc="channels of the first level",
        when={"kind": ("unet", "segresnet", "unetr", "nnunet")},
    )
    swin_width: int = choice(
        24, 12, 48, doc="channels of the first level", when={"kind": ("swin-unetr",)}
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
        if self.kind == "unetr":
            return 16
        return 32 if self.kind == "swin-unetr" else 2 ** (self.levels - 1)

    def picture(self) -> list[Stage]:
        widths = self.channels
        if self.kind == "unet":
            divisors = [2 ** (i + 1) for i in range(self.levels - 1)]
            unit = "residual unit" if self.residual_units else "1 conv"
            down = ways_down(widths, [*divisors, divisors[-1]], unit)
            return down + ways_up(widths[:-2], divisors[:-1], unit, skip="concat")
        if self.kind == "nnunet":
            divisors = [2**i for i in range(self.levels)]
            down = ways_down(widths, divisors, "2 convs")
            return down + ways_up(widths[:-1], divisors[:-1], "2 convs", skip="concat")
        if self.kind == "segresnet":
            divisors = [2**i for i in range(self.levels)]
            counts = (1, *[2] * (self.levels - 2), 4)
            down = [
                Stage(name="encoder", divisor=d, channels=c, holds=[several(n, "residual unit")])
                for c, d, n in zip(widths, divisors, counts, strict=True)
            ]
            return down + ways_up(widths[:-1], divisors[:-1], "1 residual unit", skip="add")
        swin = self.kind == "swin-unetr"
        width, steps = (self.swin_width, 5) if swin else (self.width, 4)
        image = Stage(name="image", divisor=1, channels=width, holds=["residual unit"])
        shift = 1 if swin else 0
        up = ways_up(
            [width * 2 ** max(i - shift, 0) for i in range(steps)],
            [2**i for i in range(steps)],
            "residual unit",
            skip="concat",
        )
        return [image, *(self._swin_tokens() if swin else [self._unetr_tokens()]), *up]

    def _unetr_tokens(self) -> Stage:
        return Stage(
            name="tokens",
            divisor=16,
            channels=self.hidden,
            holds=[f"attention, {self.hidden // 64} heads"],
            layers=("both",) * 12,
        )

    def _swin_tokens(self) -> list[Stage]:
        return [
            Stage(
                name="tokens",
                divisor=2 ** (i + 1),
                channels=self.swin_width * 2**i,
                holds=["windows of 7"] if i < 4 else ["residual unit"],
                layers=("both",) * (2 if i < 4 else 0),
            )
            for i in range(5)
        ]

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
