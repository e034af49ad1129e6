"""What decides how a volume is read; `trainers.data.config.Preprocess` has it."""

from __future__ import annotations

from typing import Literal, Protocol

AffineRule = Literal["sform", "qform", "pixdim"]
ResamplingRule = Literal["by_axis", "trilinear"]


class Settings(Protocol):
    """See `Preprocess`, which explains each."""

    @property
    def orientation(self) -> str: ...

    @property
    def affine(self) -> AffineRule: ...

    @property
    def resampling(self) -> ResamplingRule: ...

    @property
    def crop(self) -> Literal["none", "foreground"]: ...

    @property
    def intensity(self) -> Literal["robust", "zscore", "ct"]: ...

    @property
    def window(self) -> tuple[float, float] | None: ...
