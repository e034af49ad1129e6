"""Whether a front is better than the well-known networks that were trained beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.pareto.front import objective_points
from nas.pareto.objectives import DICE
from nas.pareto.result import Result


def baseline_verdict(
    members: Sequence[Result], baselines: Sequence[Result], objectives: Sequence[str]
) -> str:
    """A sentence that says of every baseline whether a member of the front dominates it, which is:
    has a better Dice at no more cost, or as good a Dice at less. Empty without either.

    A baseline of which an objective is not known, as while a device is away, is not compared.
    """
    if not members:
        return ""
    points = objective_points(members, objectives)
    ahead: list[str] = []
    behind: list[str] = []
    open_: list[str] = []
    for baseline, point in zip(baselines, objective_points(baselines, objectives), strict=True):
        dominated = ((points <= point).all(axis=1) & (points < point).any(axis=1)).any()
        told = f"{baseline.label} (Dice {DICE.exact(baseline.dice)})"
        (open_ if np.isnan(point).any() else behind if dominated else ahead).append(told)
    waits = f"; not compared while a cost is not known: {', '.join(open_)}" if open_ else ""
    if not ahead:
        told = f"The front is better than every baseline at its cost: {', '.join(behind)}{waits}."
        return told if behind else ""
    names, found = ", ".join(ahead), "better than every network found at"
    best = (
        f"The baseline {names} is {found} its cost"
        if len(ahead) == 1
        else f"The baselines {names} are {found} their cost"
    )
    rest = f"; the front is better than {', '.join(behind)} at no more cost" if behind else ""
    return f"{best}{rest}{waits}."
