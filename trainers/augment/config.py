"""What a configuration says about augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from trainers.augment.presets import PRESETS, Chance, Preset
from trainers.strict import Strict, left_out_at

OF_BASIC = ("scale", "offset", "noise")  # of Augment: what the preset `basic` alone has

Kind = Literal[
    "rotation",
    "in_plane",
    "scaling",
    "noise",
    "blur",
    "brightness",
    "contrast",
    "low_resolution",
    "inverted_gamma",
    "gamma",
]
FACTORS: tuple[Kind, ...] = ("brightness", "contrast", "inverted_gamma", "gamma")
LIMITS: Mapping[Kind, tuple[float, float]] = {
    "rotation": (-180.0, 180.0),
    "in_plane": (-180.0, 180.0),
    "scaling": (0.1, 10.0),
    "noise": (0.0, 10.0),
    "blur": (0.1, 10.0),
    "low_resolution": (0.05, 1.0),
    **dict.fromkeys(FACTORS, (0.1, 10.0)),
}


class ChanceConfig(Strict):
    """How often a patch is changed, and the `range` from which the strength is drawn evenly."""

    probability: Annotated[float, Field(ge=0, le=1)]
    range: tuple[float, float]


class Augment(Strict):
    """Random changes of a training patch; a word alone is a `preset`.

    `preset`: `basic` is what the other keys say. `light` and `nnunet` rotate, scale and change
    intensities in their own way (`trainers.augment.presets`), and have neither `scale` nor `offset`
    nor `noise`. `shift`: voxels a volume smaller than the patch may be off centre. `scale` and
    `offset`: the patch becomes `x * U(1 - scale, 1 + scale) + U(-offset, offset)`. `noise`:
    standard deviation. `flips`: spatial axes mirrored half of the time; `nnunet` has all three
    unless others are named. `changes`: kinds of change in the place of the preset's own, null for
    none of the kind; `basic` has no others.
    """

    preset: Literal["basic", "light", "nnunet"] = "basic"
    shift: Annotated[int, Field(ge=0)] = 2
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    offset: Annotated[float, Field(ge=0)] = 0.1
    noise: Annotated[float, Field(ge=0)] = 0.0
    flips: tuple[Literal[0, 1, 2], ...] = ()
    changes: dict[Kind, ChanceConfig | None] = left_out_at({})

    @model_validator(mode="before")
    @classmethod
    def _by_preset(cls, values: Any) -> Any:
        """Of `light` and `nnunet`: their flips, and none of what is for `basic` alone."""
        values = {"preset": values} if isinstance(values, str) else values
        preset = values.get("preset") if isinstance(values, dict) else None
        if preset == "basic" or preset not in (*PRESETS,):
            return values
        if alone := [key for key in OF_BASIC if values.get(key, 0.0) != 0.0]:
            raise ValueError(
                f"{alone[0]} stands beside preset: {preset}, which has its own intensities; leave "
                "it out, or the preset"
            )
        none = dict.fromkeys(OF_BASIC, 0.0)
        return {"flips": list(PRESETS[preset].flips), **values, **none}

    @model_validator(mode="after")
    def _strengths_can_be(self) -> Self:
        for kind, chance in self.changes.items():
            if chance is None:
                continue
            (least, most), (low, high) = LIMITS[kind], chance.range
            if not least <= low <= high <= most:
                raise ValueError(
                    f"changes.{kind}.range is [{low:g}, {high:g}]; expected two numbers from "
                    f"{least:g} to {most:g}, the smaller first"
                )
            if kind in FACTORS and not low <= 1 <= high:
                raise ValueError(
                    f"changes.{kind}.range is [{low:g}, {high:g}]; expected a range that has "
                    "1, the factor that changes nothing"
                )
        return self

    @model_serializer(mode="wrap")
    def _what_counts(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `preset` where it is basic: so it was written before there were others."""
        left_out = ("preset",) if self.preset == "basic" else OF_BASIC
        values: dict[str, Any] = dump(self)
        return {key: value for key, value in values.items() if key not in left_out}

    def drawn(self) -> Preset:
        """The preset with the `changes`."""
        changes: dict[str, Chance] = {
            kind: Chance(chance.probability, *chance.range) if chance else Chance()
            for kind, chance in self.changes.items()
        }
        return PRESETS[self.preset].changed(changes)
