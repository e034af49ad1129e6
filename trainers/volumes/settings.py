"""What decides how a volume is read; `trainers.data.config.Preprocess` configures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

AffineRule = Literal["sform", "qform", "pixdim"]
ResamplingRule = Literal["by_axis", "trilinear"]
IntensityKind = Literal["robust", "zscore", "ct"]


@dataclass(frozen=True)
class Intensity:
    """How a channel is normalised; `window`: (low, high) in HU, of `ct` alone."""

    kind: IntensityKind
    window: Sequence[float] | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """See `Preprocess`, which explains each. `intensities`: of every channel, or one for all."""

    orientation: str
    affine: AffineRule
    resampling: ResamplingRule
    crop: Literal["none", "foreground"]
    intensities: Sequence[Intensity]
