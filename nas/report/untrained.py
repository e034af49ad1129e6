"""Well-known networks that a search did not train, and what they would cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.pareto.objectives import is_cost
from search_spaces.fitting import takes
from search_spaces.registry import all_spaces, find_space
from trainers.atomic import replace_files

if TYPE_CHECKING:  # it loads PyTorch
    from nas.study.training_cost import TrainingCosts
    from search_spaces.space import Architecture, SearchSpace

FILE = "presets.json"
BASELINES = "baselines"


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """A preset of the searched space, or a baseline: a network of another space.

    `costs`: its parameters and its multiply-accumulates for one patch of the search; nothing else
    is known of it without running it.
    """

    name: str
    space: str
    key: str
    architecture: Mapping[str, Any]
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_baseline(self) -> bool:
        """Whether it belongs to no space that is searched."""
        return self.space == BASELINES


def well_known(space: SearchSpace) -> dict[str, Architecture]:
    """By name the presets of `space`, which knows the axes of the data, then the baselines."""
    named = {**space.presets(), **find_space(BASELINES).presets()}
    return {name: preset.with_axes(space.axes).canonical() for name, preset in named.items()}


def count_untrained(space: SearchSpace, counting: TrainingCosts) -> list[Untrained]:
    """The well-known, each counted, without those that do not take the patch or cannot be built."""
    patch, known = counting.train.patch, well_known(space)
    counted = (_counted(n, one, counting) for n, one in known.items() if takes(one, patch))
    return [one for one in counted if one]


def kept_untrained(directory: Path, space: SearchSpace, counting: TrainingCosts) -> list[Untrained]:
    """The same, from the folder of the search where they were counted before; else kept there."""
    if (directory / FILE).is_file() and (known := read_untrained(directory)):
        return known
    found = count_untrained(space, counting)
    told = json.dumps([asdict(one) for one in found], indent=1)
    with suppress(OSError):  # a full disk: they are counted again the next time
        replace_files({directory / FILE: f"{told}\n".encode()})
    return found


def read_untrained(directory: Path) -> list[Untrained]:
    """Those that the search in `directory` counted; none where it has no such file, as a search of
    an earlier version, or where it is damaged: it is made again."""
    try:
        rows = json.loads((directory / FILE).read_bytes())
        return [_read(row) for row in rows if row["space"] in all_spaces()]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []


def _read(row: Mapping[str, Any]) -> Untrained:
    costs = {str(name): float(value) for name, value in row["costs"].items() if is_cost(name)}
    texts = {name: str(row[name]) for name in ("name", "space", "key")}
    return Untrained(**texts, architecture=dict(row["architecture"]), costs=costs)


def _counted(name: str, point: Architecture, counting: TrainingCosts) -> Untrained | None:
    try:
        costs = counting.work(point)
    except Exception:  # whatever a network raises that cannot be built for this patch
        return None
    return Untrained(
        name=name, space=point.space, key=point.key, architecture=point.to_json(), costs=costs
    )
