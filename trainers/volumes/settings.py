"""What decides how a volume is read; `trainers.data.config.Preprocess` has it."""

from __future__ import annotations

from typing import Literal, Protocol

AffineRule = Literal["sform", "qform", "pixdim"]


class Settings(Protocol):
    """See `Preprocess`, which explains each."""

    @property
    def orientation(self) -> str: ...

    @property
    def affine(self) -> AffineRule: ...

    @property
    def crop(self) -> Literal["none", "foreground"]: ...

    @property
    def intensity(self) -> Literal["robust", "zscore", "ct"]: ...

    @property
    def window(self) -> tuple[float, float] | None: ...
