"""Which candidates are worth another training: the front, and who was close to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.front import front, hypervolume_contributions, objective_points
from nas.result import Result


def nearest(results: Sequence[Result], objectives: Sequence[str], top: int) -> list[Result]:
    """The `top` complete results that are nearest to the front.

    First its members, from the one whose loss would cost the front most hypervolume; then the
    others, from the one that lacks least Dice to be a member.
    """
    complete = [r for r in results if r.state == "complete" and r.dice is not None]
    members = front(complete, objectives)
    if members:
        worth = hypervolume_contributions(objective_points(members, objectives))
        by_worth = sorted(zip(-worth, members, strict=True), key=lambda p: (p[0], p[1].key))
        members = [member for _, member in by_worth]
    keys = {member.key for member in members}
    others = [result for result in complete if result.key not in keys]
    gaps = {r.key: dice_gap(r, complete, objectives) for r in others}
    return [*members, *sorted(others, key=lambda r: (gaps[r.key], r.key))][:top]


def dice_gap(result: Result, results: Sequence[Result], objectives: Sequence[str]) -> float:
    """The Dice that a result lacks to the best of those that cost no more; negative without any."""
    rivals = [r.dice for r in cheaper(result, results, objectives) if r.dice is not None]
    return max(rivals, default=0.0) - (result.dice or 0.0)


def cheaper(result: Result, results: Sequence[Result], objectives: Sequence[str]) -> list[Result]:
    """The other results that cost no more in any objective; an unknown cost is infinite."""
    costs = [name for name in objectives if name != "dice"]
    points = np.nan_to_num(objective_points([result, *results], costs), nan=np.inf)
    as_cheap = (points[1:] <= points[0]).all(axis=1)
    return [r for r, yes in zip(results, as_cheap, strict=True) if yes and r.key != result.key]
