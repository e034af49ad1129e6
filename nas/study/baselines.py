"""Well-known networks that a search trains beside its candidates: which, and at which size."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from math import inf

from nas.pareto.objectives import objective
from nas.study.training_cost import TrainingCosts
from search_spaces.baselines import PYRAMIDS, SPACE, Baseline, size_name, sizes
from search_spaces.fitting import takes
from search_spaces.registry import find_preset
from search_spaces.space import Architecture, ArchitectureError, SearchSpace
from trainers.errors import UserError

EVERY = 3  # candidates that are begun before each baseline


def due_after(begun: int, starts: int) -> int:
    """How many candidates are begun before the next baseline, after so many have `begun`.

    The first results are the search's own, those of all its `starts` (what it tries first) among
    them.
    """
    return max(EVERY, starts) + EVERY * begun


def check_baselines(names: Iterable[str], space: SearchSpace) -> None:
    """Raise UserError for a name in `search.baselines` that stands for no network of another space
    than `space`, which is searched."""
    for name in set(names) - set(PYRAMIDS):
        try:
            preset = find_preset(name)
        except ArchitectureError as error:
            raise UserError(f"search.baselines: {error}") from None
        if preset.space == space.name:
            raise UserError(
                f"search.baselines: {name} is a network of {space.name}, which is searched; name "
                "it in search.warm_start"
            )


class BaselineSizes:
    """The networks that `search.baselines` leaves to choose from.

    Its `names`: kinds of network (`PYRAMIDS`), of which the search chooses the size (none where the
    space that is searched is theirs), and presets, taken as they are. `space`: knows the axes of
    the data. `count`: counts what networks cost. `points`: those that take the patch, by name.
    """

    def __init__(self, names: Iterable[str], space: SearchSpace, count: TrainingCosts) -> None:
        self.count = count
        self.points: dict[str, list[Architecture]] = {}
        for name in names:
            if name in PYRAMIDS and space.name == SPACE.name:
                continue
            found = sizes(name) if name in PYRAMIDS else [find_preset(name)]
            on_data = dict.fromkeys(point.with_axes(space.axes).canonical() for point in found)
            self.points[name] = [point for point in on_data if takes(point, count.train.patch)]

    def largest(self, name: str, macs: float, without: Container[str] = ()) -> Architecture | None:
        """The network of most multiply-accumulates that is within the budget and, where the search
        chooses the size, has no more than `macs`; None where there is none.

        `without`: keys of those that are out of the question.
        """
        most = macs if name in PYRAMIDS else inf
        left = [point for point in self.points[name] if point.key not in without]
        work = {point: self.count.work(point)["macs"] for point in left}
        for point in sorted(work, key=lambda point: -work[point]):
            costs = self.count.limited(point) if work[point] <= most else None
            if costs and not self.count.budget.excess(costs):
                return point
        return None

    def why_none(self, name: str, macs: float) -> str:
        """Why `largest` has found none."""
        if not self.points[name]:
            return f"it takes no patch of {list(self.count.train.patch)}"
        limit = f" and the {objective('macs').short(macs)} MACs of the largest candidate"
        return f"no size within the budget{limit}" if name in PYRAMIDS else "over the budget"

    def expected(
        self, candidates: Sequence[Mapping[str, float]], starts: int
    ) -> list[dict[str, float]]:
        """What the baselines cost of a search whose candidates have such costs, in their order."""
        found: list[dict[str, float]] = []
        for name in self.points:
            before = candidates[: due_after(len(found), starts)]
            most = max((costs["macs"] for costs in before), default=0.0)
            if point := self.largest(name, most):
                found.append(self.count(point))
        return found


def baseline_name(name: str, point: Architecture) -> str:
    """What a network of `BaselineSizes.points[name]` is called: with its size, where the search
    chose it."""
    return size_name(point) if name in PYRAMIDS and isinstance(point, Baseline) else name
