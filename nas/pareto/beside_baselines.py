"""Whether a front is better than the well-known networks that were trained beside it."""

from __future__ import annotations

from collections.abc import Sequence

from nas.pareto.front import objective_points
from nas.pareto.objectives import DICE
from nas.pareto.result import Result


def baseline_verdict(
    members: Sequence[Result], baselines: Sequence[Result], objectives: Sequence[str]
) -> str:
    """A sentence that says of every baseline whether a member of the front dominates it, which is:
    has a better Dice at no more cost, or as good a Dice at less. Empty without baselines.

    An objective that is not known of one of the two is no help to either.
    """
    points = objective_points(members, objectives)
    ahead: list[str] = []
    behind: list[str] = []
    for baseline, point in zip(baselines, objective_points(baselines, objectives), strict=True):
        dominated = ((points <= point).all(axis=1) & (points < point).any(axis=1)).any()
        told = f"{baseline.label} {DICE.exact(baseline.dice)}"
        (behind if dominated else ahead).append(told)
    if not ahead:
        told = ", ".join(behind)
        return f"The front is better than every baseline at its cost: {told}." if behind else ""
    names, found = ", ".join(ahead), "better than every network found at"
    best = (
        f"The baseline {names} is {found} its cost"
        if len(ahead) == 1
        else f"The baselines {names} are {found} their cost"
    )
    rest = f"; the front is better than {', '.join(behind)} at no more cost" if behind else ""
    return f"{best}{rest}."
