"""What decides how a volume is read; `trainers.data.config.Preprocess` configures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

AffineRule = Literal["sform", "qform", "pixdim"]
ResamplingRule = Literal["by_axis", "trilinear"]
IntensityKind = Literal[
    "robust", "zscore", "nonzero_zscore", "percentile_zscore", "percentiles", "ct"
]


MAPPED: tuple[IntensityKind, ...] = ("ct", "percentiles")
UNIT = (0.0, 1.0)


@dataclass(frozen=True)
class Clahe:
    """Contrast-limited adaptive histogram equalisation; see `equalised`."""

    clip_limit: float
    tiles: int


@dataclass(frozen=True)
class NonLocalMeans:
    """Non-local means; see `denoised`."""

    strength: float
    patch: int
    distance: int


@dataclass(frozen=True)
class Intensity:
    """How a channel is normalised; `window`: (low, high) in HU, of `ct` alone. `range`: what the
    window, or the span between the `percentiles`, is mapped to; of these two kinds alone, as
    `clahe` is. Then `clahe`, then `denoise`, where there are any."""

    kind: IntensityKind
    window: Sequence[float] | None = None
    range: Sequence[float] = UNIT
    clahe: Clahe | None = None
    denoise: NonLocalMeans | None = None

    @property
    def bounds(self) -> tuple[float, ...] | None:
        """What its values lie between; None where they have no bounds."""
        return tuple(self.range) if self.kind in MAPPED else None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """See `Preprocess`, which explains each. `intensities`: of every channel, or one for all."""

    orientation: str
    affine: AffineRule
    resampling: ResamplingRule
    crop: Literal["none", "foreground"]
    intensities: Sequence[Intensity]
