"""What a search tries first: networks that `search.warm_start` names, scaled into its space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nas.config.run_config import RunConfig
from nas.pareto.front_files import read_front
from nas.study.samplers.fit_to_budget import Place, descend, narrow
from search_spaces.fitting import differences, fit, fit_stride
from search_spaces.registry import (
    ARCHITECTURE,
    find_preset,
    is_preset,
    load_architecture_file,
)
from search_spaces.space import Architecture, ArchitectureError
from search_spaces.translation import translate
from trainers.errors import UserError


@dataclass(frozen=True)
class WarmStart:
    """A network to try first, spelt within `space.restrict`, and what was changed to have it so.

    `name`: what was asked for; of a search's front, the folder and the member's key.
    """

    name: str
    architecture: Architecture
    changes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {'; '.join(self.changes) or 'as it is'}"


def warm_start(config: RunConfig, in_channels: int, out_channels: int) -> list[WarmStart]:
    """The networks that `search.warm_start` names, as points of the restricted space, each once.

    A name is a preset of any space, an architecture file, an exported folder, or the folder of a
    search, of which all members of the front are meant. They are translated into the space, moved
    to what `space.restrict` and `train.patch` allow, and made smaller until within the budget; the
    latency is not known yet. Raises UserError where that cannot be done.
    """
    starts: dict[str, WarmStart] = {}
    for start in _placed(config):
        start = _within_budget(start, config, in_channels, out_channels)
        key = start.architecture.key
        if key in starts:
            first = starts[key]
            start = replace(first, changes=(*first.changes, f"the same as {start.name}"))
        starts[key] = start
    return list(starts.values())


def check_warm_start(config: RunConfig) -> None:
    """Refuse names and files that are no networks, or none of the space, before there are data.

    Raises UserError, as `warm_start` does but for the budget.
    """
    for _ in _placed(config):
        pass


def _placed(config: RunConfig) -> Iterator[WarmStart]:
    """Every network in the restricted space, whatever it costs."""
    for name in config.search.warm_start:
        try:
            for each, architecture in _networks(name):
                yield _place(each, architecture, config)
        except (ArchitectureError, UserError) as error:
            raise UserError(f"search.warm_start: {name}: {error}") from None


def _networks(name: str) -> Iterator[tuple[str, Architecture]]:
    folder = Path(name)
    if name.endswith(".json"):
        yield name, load_architecture_file(folder)
    elif is_preset(name):
        yield name, find_preset(name)
    elif (folder / ARCHITECTURE).is_file():
        yield name, load_architecture_file(folder / ARCHITECTURE)
    elif folder.is_dir() or "/" in name:
        yield from _front(folder)
    else:
        yield name, find_preset(name)  # which tells the nearest


def _front(folder: Path) -> Iterator[tuple[str, Architecture]]:
    """The members of a search's front."""
    members, _ = read_front(folder)
    if not members:
        raise UserError(f"the front of {folder} has no members; expected a search with some")
    for member in members:
        if not member.space:
            raise UserError(
                f"{folder / 'front.json'} does not name its space (version 0.1 did not); it is "
                f"written anew by: segnas sync {folder}"
            )
        yield f"{folder}/{member.key}", member.network()


def _place(name: str, architecture: Architecture, config: RunConfig) -> WarmStart:
    space, restrict, patch = config.space.space(), config.space.restrict, config.train.patch
    point = translate(architecture, space)
    changes = [] if point.space == architecture.space else [f"translated to {space.name}"]
    allowed = fit(point, restrict)
    changes += _told(point, allowed, "space.restrict")
    fitting = fit_stride(allowed, patch, restrict)
    if fitting is None:
        raise UserError(
            f"stride {allowed.stride()} does not fit train.patch = {list(patch)}, and what "
            "space.restrict leaves has no lower one that does; use another patch, or drop it"
        )
    changes += _told(allowed, fitting, "train.patch")
    return WarmStart(name, fitting, tuple(changes))


def _within_budget(
    start: WarmStart, config: RunConfig, in_channels: int, out_channels: int
) -> WarmStart:
    """Narrower first; where that is not enough, by the knobs that help most."""
    budget = config.budget
    if not set(budget.limits()) - {"latency_ms"}:
        return start
    task = config, in_channels, out_channels
    over = Place.of(start.architecture, *task)
    place = descend(narrow(over, *task), *task)
    if place.excess:
        over_costs = {name: place.costs[name] for name in place.excess}
        raise UserError(
            f"search.warm_start: {start.name}: nothing near it meets "
            f"{budget.missed_by(over_costs)}; raise the budget, allow smaller networks in "
            "space.restrict, or drop it"
        )
    why = ", ".join(f"budget.{name}" for name in over.excess)
    changes = (*start.changes, *_told(start.architecture, place.architecture, why))
    return replace(start, architecture=place.architecture, changes=changes)


def _told(before: Architecture, after: Architecture, why: str) -> list[str]:
    changes = differences(before, after)
    return [f"{', '.join(changes)} ({why})"] if changes else []
