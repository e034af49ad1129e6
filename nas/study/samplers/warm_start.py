"""What a search tries first: networks that `search.warm_start` names, scaled into its space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nas.config.architecture_file import load_architecture_file
from nas.config.data_space import DataSpace
from nas.config.run_config import SearchConfig
from nas.pareto.front_files import read_front
from nas.study.samplers.fit_to_budget import BudgetDistance, descend, narrow
from nas.study.samplers.ladder import ladder
from nas.study.training_cost import TrainingCosts
from search_spaces.fitting import differences, fit
from search_spaces.registry import ARCHITECTURE, find_preset, is_preset
from search_spaces.space import Architecture, ArchitectureError, Restrictions, SearchSpace, axes_of
from search_spaces.translation import translate
from trainers.errors import UserError
from trainers.home import from_home

LADDER = "ladder"  # stands for plain networks of several sizes
RUNGS, SHARE = 5, 0.34  # how many of them, and of the trials at most


@dataclass(frozen=True)
class WarmStart:
    """A network to try first, spelt within `space.restrict`, and what was changed to have it so.

    `name`: what was asked for; of a search's front, the folder and the member's key.
    """

    name: str
    architecture: Architecture
    changes: tuple[str, ...] = ()

    @property
    def is_rung(self) -> bool:
        """Whether it is a size of the space's plain network."""
        return self.name.startswith(f"{LADDER} ")

    def __str__(self) -> str:
        return f"{self.name}: {'; '.join(self.changes) or 'as it is'}"


def check_warm_starts(names: Sequence[str], space: SearchSpace) -> None:
    """Raise UserError for a name that stands for no network of the space, before data are read."""
    place_warm_starts(names, DataSpace(space, {}, {}))


def warm_starts(search: SearchConfig, within: DataSpace, count: TrainingCosts) -> list[WarmStart]:
    """What the search tries first, each network once, within the budget but for the latency.

    Raises UserError where a name stands for no network, or nothing near it meets the budget.
    """
    rungs = min(RUNGS, max(1, int(search.trials * SHARE)))
    prior = {**within.prior, **search.prior}
    plain = ladder(within, count, rungs, prior) if LADDER in search.warm_start else []
    placed = [WarmStart(f"{LADDER} {n}", point) for n, point in enumerate(plain, start=1)]
    placed += place_warm_starts(search.warm_start, within)
    return _fit_warm_starts(placed, count, within.restrict)


def place_warm_starts(names: Sequence[str], within: DataSpace) -> list[WarmStart]:
    """The networks that `search.warm_start` names besides the ladder, as points of the space on its
    data.

    A name is a preset of any space, an architecture file, an exported folder, or the folder of a
    search, of which all members of the front are meant. They are translated into the space and
    moved to what `space.restrict` and `train.patch` allow, whatever they cost. Raises UserError
    where that cannot be done.
    """
    starts = []
    for name in (name for name in names if name != LADDER):
        try:
            starts += [_place(each, architecture, within) for each, architecture in _networks(name)]
        except (ArchitectureError, UserError) as error:
            raise UserError(f"search.warm_start: {name}: {error}") from None
    return starts


def _fit_warm_starts(
    placed: Sequence[WarmStart], count: TrainingCosts, restrict: Restrictions
) -> list[WarmStart]:
    """The same made smaller until within the budget, each network once."""
    starts: dict[str, WarmStart] = {}
    for start in placed:
        start = _within_budget(start, count, restrict)
        point = start.architecture
        # Its record shall say no more of the axes than has an effect.
        start = replace(start, architecture=point.with_axes(axes_of(point.canonical())))
        key = point.key
        if key in starts:
            first = starts[key]
            start = replace(first, changes=(*first.changes, f"the same as {start.name}"))
        starts[key] = start
    return list(starts.values())


def _networks(name: str) -> Iterator[tuple[str, Architecture]]:
    folder = from_home(name)
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
    members = read_front(folder).members
    if not members:
        raise UserError(f"the front of {folder} has no members; expected a search with some")
    for member in members:
        if not member.space:
            raise UserError(
                f"{folder / 'front.json'} does not name its space (version 0.1 did not); it is "
                f"written anew by: segnas sync {folder}"
            )
        yield f"{folder}/{member.key}", member.network()


def _place(name: str, architecture: Architecture, within: DataSpace) -> WarmStart:
    point = translate(architecture, within.space)
    changes = []
    if point.space != architecture.space:
        changes.append(f"translated to {within.space.name}")
    for restrict, why in ((within.asked, "space.restrict"), (within.restrict, "train.patch")):
        before, point = point, fit(point, restrict)
        changes += _told(before, point, why)
    if axes_of(point.canonical()) != axes_of(architecture.canonical()):
        changes.append("strides by axis, as the data have it")
    return WarmStart(name, point, tuple(changes))


def _within_budget(start: WarmStart, count: TrainingCosts, restrict: Restrictions) -> WarmStart:
    """Narrower first; where that is not enough, by the knobs that help most."""
    budget = count.budget
    if not budget.limits_counted():
        return start
    over = BudgetDistance.of(start.architecture, count)
    place = descend(narrow(over, count, restrict), count, restrict)
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
