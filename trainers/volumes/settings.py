"""What decides how a volume is read; `trainers.data.config.Preprocess` has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

AffineRule = Literal["sform", "qform", "pixdim"]
ResamplingRule = Literal["by_axis", "trilinear"]
IntensityKind = Literal["robust", "zscore", "ct"]


@dataclass(frozen=True)
class Intensity:
    """How a channel is normalised; `window`: (low, high) in HU, of `ct` alone."""

    kind: IntensityKind
    window: Sequence[float] | None = None


class Settings(Protocol):
    """See `Preprocess`, which explains each. `intensities`: of every channel, or one for all."""

    @property
    def orientation(self) -> str: ...

    @property
    def affine(self) -> AffineRule: ...

    @property
    def resampling(self) -> ResamplingRule: ...

    @property
    def crop(self) -> Literal["none", "foreground"]: ...

    @property
    def intensities(self) -> Sequence[Intensity]: ...


@dataclass(frozen=True)
class ChannelSettings:
    """`Settings` in which each channel has an intensity of its own."""

    orientation: str
    affine: AffineRule
    resampling: ResamplingRule
    crop: Literal["none", "foreground"]
    intensities: tuple[Intensity, ...]
