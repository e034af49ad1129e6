"""Which candidates are worth another training: the front, and who was close to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.pareto.front import front, hypervolume_contributions, objective_points
from nas.pareto.result import Result


def nearest_to_front(
    results: Sequence[Result], objectives: Sequence[str], top: int
) -> list[Result]:
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
    gaps = dict(zip((r.key for r in complete), dice_gaps(complete, objectives), strict=True))
    others = [result for result in complete if result.key not in keys]
    return [*members, *sorted(others, key=lambda r: (gaps[r.key], r.key))][:top]


def dice_gaps(results: Sequence[Result], objectives: Sequence[str]) -> list[float]:
    """The Dice that each lacks to the best of those that cost no more; negative without any."""
    dice = np.array([result.dice or 0.0 for result in results])
    no_dearer = no_dearer_results(results, objectives)
    return [
        float(dice[row].max(initial=0.0) - own) for row, own in zip(no_dearer, dice, strict=True)
    ]


def no_dearer_results(results: Sequence[Result], objectives: Sequence[str]) -> np.ndarray:
    """(n, n) bool: in row i, the other results that cost no more than result i in any objective.

    An unknown cost is infinite.
    """
    costs = [name for name in objectives if name != "dice"]
    points = np.nan_to_num(objective_points(results, costs), nan=np.inf)
    found = np.ones((len(results), len(results)), dtype=bool)
    for column in points.T:
        found &= column[None, :] <= column[:, None]
    np.fill_diagonal(found, False)
    return found
