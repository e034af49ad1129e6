"""How the volumes of a data set are prepared, and how its cases are split."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from trainers.data.intensities import (
    Filters,
    Span,
    Window,
    WordOrModalities,
    check_spans,
    to_intensity,
    with_window,
)
from trainers.errors import UserError
from trainers.strict import Strict, left_out_at
from trainers.volumes.settings import AffineRule, Intensity, ResamplingRule, Settings

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]

RECORDED = {"recorded": True}
"""The context in which pydantic reads what a run wrote: in it, a key that was added since then and
is absent means what that version did."""


def _spacing_kind(value: Any) -> str:
    return "[word]" if isinstance(value, str) else "[sizes]"


WordOrSizes = Annotated[
    Annotated[Literal["native", "median"], Tag("[word]")]
    | Annotated[tuple[Positive, Positive, Positive], Tag("[sizes]")],
    Discriminator(_spacing_kind),
]
"""Text is a word, all else voxel sizes; an error speaks of the one that was meant."""


class Preprocess(Filters):
    """From a NIfTI file to the array that a network sees.

    `orientation`: directions of the three axes. `affine`: which of a header's answers counts where
    they differ; see `read_affine`. `spacing`: mm, the median of the data set, or each volume's own.
    `resampling` to it: `by_axis`, cubic, but an axis over three times as coarse as the finest by
    the nearest slice; or `trilinear`, as 0.1 did.
    `crop: foreground` removes the empty border. `intensity`, a volume and channel: `robust`, the
    z-score between two percentiles of the body (`robust_zscore`); `zscore` of all voxels;
    `nonzero_zscore` of those that are not 0; `percentile_zscore`, of all once clipped to the 0.5th
    and 99.5th percentile; `percentiles`, which maps these two to `range`; or `ct`, which maps
    `window` (HU, also as `{level: 40, width: 400}`) to it. `range` is [0, 1] unless told otherwise,
    and clips. Modalities that differ have one each:
    `{PET: robust, CT: {kind: ct, window: [-100, 300]}}`. Then `clahe` equalises the contrast of
    what has a range (`equalised`), and `denoise` takes away noise (`denoised`).
    """

    orientation: str = "RAS"
    # Left out at its default: what was written before this key was read so.
    affine: AffineRule = Field(default="sform", exclude_if=lambda rule: rule == "sform")
    spacing: WordOrSizes = "median"
    # Left out where it is what was done before this key, and where nothing is resampled.
    resampling: ResamplingRule = Field(
        default="by_axis", exclude_if=lambda rule: rule == "trilinear"
    )
    crop: Literal["none", "foreground"] = "foreground"
    intensity: WordOrModalities = "robust"
    window: Window | None = None
    range: Span | None = left_out_at(None)

    @model_validator(mode="before")
    @classmethod
    def _default_resampling(cls, values: Any, info: ValidationInfo) -> Any:
        if not isinstance(values, dict):
            return values
        if (info.context or {}).get("recorded") or values.get("spacing") == "native":
            return {"resampling": "trilinear", **values}
        return values

    @model_validator(mode="before")
    @classmethod
    def _default_window(cls, values: Any) -> Any:
        return with_window(values, "intensity")

    @field_validator("orientation")
    @classmethod
    def _three_directions(cls, codes: str) -> str:
        if sorted({"L": "R", "P": "A", "I": "S"}.get(code, code) for code in codes) != list("ARS"):
            raise ValueError(
                f"{codes!r} is no orientation; expected one letter each of L/R, P/A and I/S: RAS"
            )
        return codes

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        of_all = ("window", "range", "clahe", "denoise")
        told = [name for name in of_all if getattr(self, name)]
        if isinstance(self.intensity, dict) and told:
            raise ValueError(
                f"{told[0]} stands beside an intensity by modality; give it to its modality: "
                "`intensity: {CT: {kind: ct, window: [-100, 300]}}`"
            )
        check_spans(self.intensity, self.window, self.range, self.clahe, "intensity")
        return self

    def of_channels(self, modalities: Sequence[str]) -> Settings:
        """The settings for images whose channels are these modalities.

        Raises UserError for an intensity of a modality that there is not, and for one left out.
        """
        return Settings(
            orientation=self.orientation,
            affine=self.affine,
            resampling=self.resampling,
            crop=self.crop,
            intensities=self._intensities(modalities),
        )

    def _intensities(self, modalities: Sequence[str]) -> tuple[Intensity, ...]:
        if not isinstance(self.intensity, dict):
            return (self.filtered(self.intensity, self.window, self.range),)
        known = ", ".join(modalities) or "none, for their names were not recorded"
        for name in sorted(self.intensity.keys() - set(modalities)):
            raise UserError(f"intensity.{name} is no modality; there are: {known}")
        if missing := [name for name in modalities if name not in self.intensity]:
            raise UserError(
                f"intensity says nothing of {', '.join(missing)}; expected a word, such as robust, "
                f"for each modality: {known}"
            )
        return tuple(to_intensity(self.intensity[name]) for name in modalities)


class Groups(Strict):
    r"""Cases that stay together in a split, such as two scans of one subject.

    `pattern` captures a part of a case's name, and equal parts are one group. With `size` n the
    part is a number counted from 1, and n numbers in a row are a group: `'hippocampus_(\d+)'`
    with 2 keeps 1 and 2 together, 3 and 4, ...
    """

    pattern: str
    size: Annotated[int, Field(ge=1)] = 1

    @field_validator("pattern")
    @classmethod
    def _captures_once(cls, pattern: str) -> str:
        try:
            captures = re.compile(pattern).groups
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        if captures != 1:
            raise ValueError(f"{pattern!r} has {captures} capture groups (...); expected one")
        return pattern


class Split(Strict):
    """Shares of the cases for validation and test, group by group; the rest is for training."""

    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test: Share = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    groups: Groups | None = None

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation + test = {self.validation + self.test:g}; expected less than 1"
            )
        return self


class OwnSplit(Strict):
    """The split that the data bring: a file, lists or a column with training, validation and test.

    `fold`: which of several, counted from 0; without it the first, and a fifth of the cases for
    validation where the data bring none. `groups`: cases that stay together in what is drawn, in
    the place of the data's own, and of which a warning tells where the data part them.
    """

    fold: Annotated[int, Field(ge=0)] | None = None
    groups: Groups | None = Field(default=None, exclude_if=lambda groups: groups is None)


def _split_kind(value: Any) -> str:
    if isinstance(value, str | Path):
        return "file"
    own = isinstance(value, OwnSplit) or (isinstance(value, dict) and "fold" in value)
    return "own" if own else "shares"


SharesOrFile = Annotated[
    Annotated[Split, Tag("shares")]
    | Annotated[OwnSplit, Tag("own")]
    | Annotated[Path, Tag("file")],
    Discriminator(_split_kind),
]
"""A mapping is shares, or a fold of the data's own split; text is a path. An error speaks of the
one that was meant."""
