"""What only the space and the data together can tell: is this run possible at all?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nas.budget import amount
from nas.config import RunConfig
from nas.footprint import footprint
from search_spaces.registry import find_preset, load_architecture_file
from search_spaces.space import (
    Architecture,
    ArchitectureError,
    RandomTrial,
    distributions,
    path_pattern,
    spatial_dims,
)
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


def warm_start(config: RunConfig) -> list[Architecture]:
    """The architectures that `search.warm_start` names: presets, or architecture files.

    Raises UserError for a name that is neither, a network of another space, and one that
    `space.restrict` leaves out.
    """
    return [_warm_start_point(config, name) for name in config.search.warm_start]


def _warm_start_point(config: RunConfig, name: str) -> Architecture:
    where = f"search.warm_start: {name}"
    try:
        point = load_architecture_file(Path(name)) if name.endswith(".json") else find_preset(name)
    except ArchitectureError as error:
        raise UserError(f"{where}: {error}") from None
    if point.space != config.space.name:
        raise UserError(f"{where} is a network of {point.space}; space.name is {config.space.name}")
    for path, value in distributions(point).items():
        knob = path_pattern(path)
        allowed = config.space.restrict.get(knob)
        if allowed is not None and value not in allowed:
            raise UserError(
                f"{where} has {path} = {value!r}, but space.restrict.{knob} is {list(allowed)}; "
                "drop it from the warm start or allow the value"
            )
    return point


def _check_patch(config: RunConfig, points: Sequence[Architecture]) -> None:
    patch = config.train.patch
    strides = sorted({point.stride() for point in points})
    unfit = sorted(
        {p.stride() for p in points if any(n % p.stride() for n in patch[-spatial_dims(p) :])}
    )
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
    """From the best of a few points downhill, a knob at a time, to the budget or to a minimum."""

    def excess(point: Architecture) -> tuple[float, Mapping[str, float]]:
        costs = footprint(point, config, in_channels, out_channels)
        return max(config.budget.excess(costs).values(), default=0.0), costs

    best, (worst, costs) = min(((p, excess(p)) for p in points[:8]), key=lambda pair: pair[1][0])
    improved = True
    while worst > 1 and improved:
        improved = False
        for neighbour in _neighbours(best, config):
            ratio, its_costs = excess(neighbour)
            if ratio < worst:
                best, worst, costs, improved = neighbour, ratio, its_costs, True
    if worst > 1:
        named = ", ".join(
            f"budget.{name} = {amount(name, limit)} (smallest found: {amount(name, costs[name])})"
            for name, limit in config.budget.limits().items()
            if name in costs
        )
        raise UserError(
            f"no architecture of {config.space.name} meets {named}; raise the budget, or allow "
            "smaller networks in space.restrict"
        )


def _neighbours(point: Architecture, config: RunConfig) -> Iterator[Architecture]:
    """Every architecture of the restricted space that differs from `point` in one knob."""
    space, restrict = config.space.space(), config.space.restrict
    answers = distributions(point)
    options = {knob.name: knob.options for knob in space.knobs()} | dict(restrict)
    for path, value in answers.items():
        for option in options[path_pattern(path)]:
            if option != value:
                changed = RandomTrial(0, {**answers, path: option})
                yield space.sample(changed, restrict)
