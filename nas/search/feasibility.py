"""What only the space and the data together can tell: is this run possible at all?"""

from __future__ import annotations

from collections.abc import Sequence

from nas.config.run_config import RunConfig
from nas.study.samplers.fit_to_budget import Place, descend
from search_spaces.fitting import divides
from search_spaces.space import Architecture, RandomTrial
from trainers.errors import UserError

SAMPLES = 64


def check_run(config: RunConfig, in_channels: int, out_channels: int) -> None:
    """Refuse a run that cannot work, before anything is trained.

    Raises UserError where a stride of the space does not divide the patch, or where a budget is
    below the smallest network that could be found.
    """
    space, restrict = config.space.space(), config.space.restrict
    points = [space.sample(RandomTrial(seed), restrict) for seed in range(SAMPLES)]
    _check_patch(config, points)
    if set(config.budget.limits()) - {"latency_ms"}:
        _check_budget(config, points, in_channels, out_channels)


def _check_patch(config: RunConfig, points: Sequence[Architecture]) -> None:
    patch = config.train.patch
    strides = sorted({point.stride() for point in points})
    unfit = sorted({p.stride() for p in points if not divides(p, patch)})
    if unfit:
        worst = unfit[-1]
        fitting = [-(-length // worst) * worst for length in patch]
        raise UserError(
            f"train.patch = {list(patch)}: networks of this space have stride "
            f"{', '.join(map(str, strides))}, and {worst} does not divide it; use a patch such as "
            f"{fitting}, or leave the networks of stride {worst} out with space.restrict"
        )
    if all(length == strides[-1] for length in patch):
        raise UserError(
            f"train.patch = {list(patch)} is a single voxel at stride {strides[-1]}, which cannot "
            f"be normalised; use a larger patch, such as {[2 * length for length in patch]}"
        )


def _check_budget(
    config: RunConfig, points: Sequence[Architecture], in_channels: int, out_channels: int
) -> None:
    """From the best of a few points downhill."""
    task = config, in_channels, out_channels
    start = min((Place.of(p, *task) for p in points[:8]), key=lambda place: place.height)
    place = descend(start, *task)
    if place.excess:
        raise UserError(
            f"no architecture of {config.space.name} meets {config.budget.missed_by(place.costs)}; "
            "raise the budget, or allow smaller networks in space.restrict"
        )
