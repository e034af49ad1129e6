"""Which networks are searched, and the one that stands for them while a plan is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.config.data_space import DataSpace, space_for
from nas.config.run_config import SpaceConfig
from nas.study.samplers.warm_start import place_warm_starts
from search_spaces.space import Architecture, Option, Restrictions

SPACE = "hybrid"
TYPICAL = "hybrid-m"  # neither small nor large
PLAIN: Mapping[str, tuple[Option, ...]] = {
    "skip": ("concat", "add"),
    "decoder": ("residual",),
    "prior": (False,),
    "anchors_head": ("pooled",),
    "tokens.mixer": ("attention",),
    "tokens.rank": (1.0,),
    "tokens.places": (2,),
    "tokens.tau": (1.0,),
    "tokens.noiseless": (False,),
    "tokens.window": (0,),
}
FEW = 60  # candidates, below which a search is kept to the plain parts


def restrictions(candidates: float) -> dict[str, list[Option]]:
    """`space.restrict` for a search of so many candidates: of few, without what is slower."""
    return {} if candidates >= FEW else {knob: list(options) for knob, options in PLAIN.items()}


def space_on(
    spacing: Sequence[float],
    patch: Sequence[int],
    restrict: Restrictions | None = None,
    classes: int = 1,
) -> DataSpace:
    """The space for patches (D, H, W) of voxels of that size, mm, and so many classes."""
    config = SpaceConfig.model_validate({"name": SPACE, "restrict": dict(restrict or {})})
    return space_for(config, spacing, patch, classes)


def presets_on(names: Sequence[str], within: DataSpace) -> list[Architecture]:
    """The presets, as a search of that space would begin with them."""
    return [start.architecture for start in place_warm_starts(names, within)]
