"""The space of a search on its data: axes by spacing, without networks that the patch refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nas.config.run_config import SpaceConfig
from search_spaces.axes import ALIKE, axes_for
from search_spaces.narrowing import left_out, narrow_to_patch
from search_spaces.prior import prior_for
from search_spaces.space import ArchitectureError, Option, Restrictions, SearchSpace
from trainers.errors import UserError


@dataclass(frozen=True)
class DataSpace:
    """`space` knows the axes of the data, `restrict` leaves what takes the patch.

    `asked`: what the configuration leaves. `told`: what follows from the data, a line each.
    `prior`: options that are usual on such data, where they are not so everywhere.
    """

    space: SearchSpace
    asked: Restrictions
    restrict: Restrictions
    told: tuple[str, ...] = ()
    prior: Mapping[str, Option] = field(default_factory=dict)


def space_for(
    config: SpaceConfig,
    voxel_size: Sequence[float] | None,
    patch: Sequence[int],
    classes: int = 1,
) -> DataSpace:
    """The configured space for patches of voxels of that size, mm; None where it is not known.

    `classes`: channels of the logits: the classes of the data, background included, or its regions.

    Raises UserError where no network of it takes the patch.
    """
    axes = axes_for(voxel_size, patch) if config.axes == "spacing" else ALIKE
    space = config.space().on(axes)
    try:
        restrict = narrow_to_patch(space, config.restrict, patch)
    except ArchitectureError as error:
        raise UserError(f"{error}, or allow smaller strides in space.restrict") from None
    told = []
    for axis, (start, length) in enumerate(zip(axes.starts, voxel_size or (), strict=False)):
        if start:
            told.append(
                f"Axis {axis} has voxels of {length:g} mm: networks do not halve it in their first "
                f"{start} steps, nor do their convolutions reach along it"
            )
    if gone := left_out(space, config.restrict, restrict):
        told.append(f"Left out, for train.patch = {list(patch)}: {', '.join(gone)}")
    return DataSpace(space, config.restrict, restrict, tuple(told), prior_for(space, classes))
