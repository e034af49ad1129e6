"""Fronts of several searches beside each other: who is ahead at which cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from nas.pareto.front import objective_points
from nas.pareto.result import Result

TIE = 0.003
"""A difference in Dice that another seed alone makes on a small validation set."""


@dataclass(frozen=True)
class Stretch:
    """From a cost of `start` to one of `end` (None: without end) front number `ahead` reaches the
    best Dice within the cost; None where the best two are `TIE` apart or less.

    `least`, `most`: by how much it is ahead of the second best; both None where no other front has
    a network that cheap.
    """

    start: float
    end: float | None
    ahead: int | None
    least: float | None
    most: float | None


def stretches(fronts: Sequence[Sequence[Result]], cost: str) -> list[Stretch]:
    """Who is ahead within which `cost`, from the cheapest network on; a network of which the cost
    or the Dice is not known has no part."""
    known = [
        [(x, r.dice) for r in front if (x := r.value(cost)) is not None and r.dice is not None]
        for front in fronts
    ]
    starts = sorted({x for front in known for x, _ in front})
    found: list[Stretch] = []
    for start, end in zip(starts, [*starts[1:], None], strict=False):
        reached = [max((d for x, d in front if x <= start), default=None) for front in known]
        found.append(_stretch(start, end, reached))
    merged: list[Stretch] = []
    for _, part in groupby(found, key=lambda one: (one.ahead, one.least is None)):
        alike = list(part)
        gaps = [one.least for one in alike if one.least is not None]
        least, most = min(gaps, default=None), max(gaps, default=None)
        merged.append(Stretch(alike[0].start, alike[-1].end, alike[0].ahead, least, most))
    return merged


def dominated(members: Sequence[Result], others: Sequence[Result], names: Sequence[str]) -> int:
    """How many of `members` one of `others` dominates in the objectives of these names."""
    points, rivals = objective_points(members, names), objective_points(others, names)
    beaten = [
        ((rivals <= point).all(axis=1) & (rivals < point).any(axis=1)).any() for point in points
    ]
    return int(sum(beaten))


def _stretch(start: float, end: float | None, reached: Sequence[float | None]) -> Stretch:
    order = sorted((-dice, front) for front, dice in enumerate(reached) if dice is not None)
    (best, ahead), *rest = order
    if not rest:
        return Stretch(start, end, ahead, None, None)
    gap = rest[0][0] - best
    return Stretch(start, end, ahead if gap > TIE else None, gap, gap)
