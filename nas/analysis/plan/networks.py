"""Which networks are searched, and the one that stands for them while a plan is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from search_spaces.axes import axes_for
from search_spaces.registry import find_preset, find_space
from search_spaces.space import Architecture, Option, SearchSpace

SPACE = "hybrid"
TYPICAL = "hybrid-m"  # neither small nor large
WARM_STARTS = ("hybrid-xs", "hybrid-s", "hybrid-m", "hybrid-l")
PLAIN: Mapping[str, tuple[Option, ...]] = {
    "skip": ("concat", "add"),
    "decoder": ("residual",),
    "prior": (False,),
    "tokens.mixer": ("attention",),
    "tokens.rank": (1.0,),
    "tokens.window": (0,),
}
FEW = 60  # candidates, below which a search is kept to the plain parts


def restrictions(candidates: float) -> dict[str, list[Option]]:
    """`space.restrict` for a search of so many candidates: of few, without what is slower."""
    return {} if candidates >= FEW else {knob: list(options) for knob, options in PLAIN.items()}


def space_on(spacing: Sequence[float], patch: Sequence[int]) -> SearchSpace:
    """The space for patches (D, H, W) of voxels of that size, mm."""
    return find_space(SPACE).on(axes_for(spacing, patch))


def preset_on(name: str, spacing: Sequence[float], patch: Sequence[int]) -> Architecture:
    """The preset as it halves such patches."""
    return find_preset(name).with_axes(axes_for(spacing, patch))
