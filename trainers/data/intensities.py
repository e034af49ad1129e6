"""How intensities are configured: a word for all channels, or one for each modality."""

from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from trainers.strict import Strict, left_out_at
from trainers.volumes.settings import (
    MAPPED,
    UNIT,
    Clahe,
    Intensity,
    IntensityKind,
    NonLocalMeans,
)

Span = tuple[float, float]
CT_WINDOW = (-175.0, 250.0)
Voxels = Annotated[int, Field(ge=1)]


class LevelAndWidth(Strict):
    """A window as radiologists say it, by its middle."""

    level: float
    width: Annotated[float, Field(gt=0)]


def _from_level(window: Any) -> Any:
    """{level, width} as (low, high)."""
    if not isinstance(window, dict):
        return window
    try:
        told = LevelAndWidth.model_validate(window)
    except ValidationError:
        raise ValueError(
            "expected [low, high] or {level: 40, width: 400}, the width above 0"
        ) from None
    return told.level - told.width / 2, told.level + told.width / 2


Window = Annotated[Span, BeforeValidator(_from_level, json_schema_input_type=Span | LevelAndWidth)]
"""Of values of a file: the lowest and the highest, also told as level and width."""


class ClaheConfig(Strict):
    """Contrast-limited adaptive histogram equalisation: from 0 to 1 how much contrast there may be,
    and how many histograms along each axis of the volume."""

    clip_limit: Annotated[float, Field(gt=0, le=1)] = 0.01
    tiles: Voxels = 8


class DenoiseConfig(Strict):
    """Non-local means: patches of `patch` voxels a side are compared within `distance` voxels;
    `strength` is in deviations of the noise."""

    strength: Annotated[float, Field(gt=0)] = 0.8
    patch: Voxels = 3
    distance: Voxels = 2


class Filters(Strict):
    """What comes after normalising: contrast, then noise. None is neither."""

    clahe: ClaheConfig | None = left_out_at(None)
    denoise: DenoiseConfig | None = left_out_at(None)

    def filtered(self, kind: IntensityKind, window: Span | None, to: Span | None) -> Intensity:
        """That intensity with these filters."""
        return Intensity(
            kind,
            window,
            to or UNIT,
            clahe=Clahe(**self.clahe.model_dump()) if self.clahe else None,
            denoise=NonLocalMeans(**self.denoise.model_dump()) if self.denoise else None,
        )


BY_KEY = "[by key]"
"""In the place of a pydantic error: what comes next is a key of a mapping."""


class IntensityConfig(Filters):
    """How one modality is normalised, where a word is not enough: a CT window of its own, what
    it becomes, or filters."""

    kind: IntensityKind
    window: Window | None = None
    range: Span | None = left_out_at(None)

    @model_validator(mode="before")
    @classmethod
    def _default_window(cls, values: Any) -> Any:
        return with_window(values, "kind")

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        check_spans(self.kind, self.window, self.range, self.clahe, "kind")
        return self


def with_window(values: Any, kind: str) -> Any:
    """The window of soft tissue where `kind` of the values is ct and they have none."""
    if isinstance(values, dict) and values.get(kind) == "ct":
        return {"window": CT_WINDOW, **values}
    return values


def check_spans(
    kind: object, window: Span | None, to: Span | None, clahe: ClaheConfig | None, key: str
) -> None:
    """Raises ValueError for a window, a range or an equalisation that the kind does not have, or
    that is none."""
    if kind != "ct" and window is not None:
        raise ValueError(f"window belongs to `{key}: ct`; remove it or set that")
    if kind == "ct" and (window is None or window[0] >= window[1]):
        raise ValueError(f"window = {window}; expected two HU values, the lower first")
    if to is not None and kind not in MAPPED:
        raise ValueError(f"range belongs to `{key}: ct` and `percentiles`; remove it or set one")
    if clahe is not None and kind not in MAPPED:
        raise ValueError(
            f"clahe needs values with bounds, those of `{key}: ct` and `percentiles`; remove it or "
            "set one"
        )
    if to is not None and to[0] >= to[1]:
        raise ValueError(f"range = {to}; expected two values, the lower first")


def _modality_kind(value: Any) -> str:
    return "[settings]" if isinstance(value, dict | IntensityConfig) else "[word]"


def _intensity_kind(value: Any) -> str:
    return BY_KEY if isinstance(value, dict) else "[word]"


OfModality = Annotated[
    Annotated[IntensityKind, Tag("[word]")] | Annotated[IntensityConfig, Tag("[settings]")],
    Discriminator(_modality_kind),
]
WordOrModalities = Annotated[
    Annotated[IntensityKind, Tag("[word]")]
    | Annotated[dict[str, OfModality], Field(min_length=1), Tag(BY_KEY)],
    Discriminator(_intensity_kind),
]
"""A word is for all channels, a mapping has a word or settings for each modality."""


def to_intensity(one: str | IntensityConfig) -> Intensity:
    """Of `ct` alone: with the window of soft tissue."""
    config = IntensityConfig.model_validate({"kind": one}) if isinstance(one, str) else one
    return config.filtered(config.kind, config.window, config.range)
