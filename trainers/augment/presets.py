"""What each preset of `train.augment` changes: how often, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True)
class Chance:
    """A change that a patch gets with `probability`, of a strength from `low` to `high`."""

    probability: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def happens(self, rng: Generator) -> bool:
        """Whether this patch gets it; nothing is drawn for what never does."""
        return self.probability > 0 and rng.random() < self.probability

    def strength(self, rng: Generator) -> float:
        """How strong it is, evenly drawn."""
        return rng.uniform(self.low, self.high)


NEVER = Chance()


@dataclass(frozen=True)
class Preset:
    """The changes of a patch, in the order in which they are made.

    `rotation`: degrees about each of the three axes; where one axis is coarse (`coarse_axis`) only
    about that one, by `in_plane`. A preset without `rotation` has the last axis for the coarse one
    where there is none. `scaling`: edge of what is shown over edge of the patch, above 1 where
    things become smaller; a coarse axis keeps its own. `intensity`: kinds of `draw_changes`.
    `flips`: axes that are mirrored where the configuration does not name any.
    """

    rotation: Chance = NEVER
    in_plane: Chance = NEVER
    scaling: Chance = NEVER
    intensity: Mapping[str, Chance] = field(default_factory=dict)
    flips: tuple[int, ...] = ()

    def changed(self, chances: Mapping[str, Chance]) -> Preset:
        """With these in the place of its own, by kind. A preset that rotates nothing takes
        `rotation` for `in_plane` too, so that it does not fade where an axis is coarse."""
        intensity = {**self.intensity, **chances}
        turns = chances.get("rotation", NEVER) if self.in_plane == NEVER else self.in_plane
        return replace(
            self,
            rotation=chances.get("rotation", self.rotation),
            in_plane=chances.get("in_plane", turns),
            scaling=chances.get("scaling", self.scaling),
            intensity={kind: intensity[kind] for kind in INTENSITY if kind in intensity},
        )


INTENSITY = ("noise", "blur", "brightness", "contrast", "low_resolution", "inverted_gamma", "gamma")

BASIC = Preset()
"""Nothing but what the configuration says itself: shift, scale, offset, noise and flips."""

LIGHT = Preset(
    in_plane=Chance(0.3, -15, 15),
    scaling=Chance(0.3, 0.9, 1.1),
    intensity={
        "noise": Chance(0.1, 0, 0.05),
        "brightness": Chance(0.3, 0.9, 1.1),
        "contrast": Chance(0.3, 0.85, 1.15),
        "gamma": Chance(0.3, 0.8, 1.25),
    },
)
"""For trainings of some hundred to a few thousand steps."""

NNUNET = Preset(
    rotation=Chance(0.2, -30, 30),
    in_plane=Chance(0.2, -180, 180),
    scaling=Chance(0.2, 0.7, 1.4),
    intensity={
        "noise": Chance(0.1, 0, 0.1),
        "blur": Chance(0.2, 0.5, 1),
        "brightness": Chance(0.15, 0.75, 1.25),
        "contrast": Chance(0.15, 0.75, 1.25),
        "low_resolution": Chance(0.25, 0.5, 1),
        "inverted_gamma": Chance(0.1, 0.7, 1.5),
        "gamma": Chance(0.3, 0.7, 1.5),
    },
    flips=(0, 1, 2),
)
"""The default of nnU-Net v2 (Isensee et al., Nature Methods 18, 2021), as release 2.8 has it in
`nnUNetTrainer.get_training_transforms`."""

PRESETS: Mapping[str, Preset] = {"basic": BASIC, "light": LIGHT, "nnunet": NNUNET}
