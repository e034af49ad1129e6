"""What a study tells its sampler of an ended candidate.

Optuna's samplers know three ends of a trial, of which only one serves an infeasible candidate:
FAILED trials are ignored by all of them, so that the region comes back; PRUNED ones are read by TPE
only. Here an infeasible candidate is COMPLETE with the worst values there are (an infinity is no
Dice) and a violated constraint, which TPE and NSGA-II rank behind every feasible one. So is one
that was stopped: its constraint is violated by the share of its training that was left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from nas.pareto.budget import Budget
from nas.pareto.objectives import objective
from nas.pareto.result import Result


def values_of(result: Result, objectives: Sequence[str]) -> list[float]:
    """One value an objective: the worst there is for what is not complete."""
    worst = [math.inf * objective(name).sign for name in objectives]
    if result.state != "complete":
        return worst
    known = [result.value(name) for name in objectives]
    return [end if value is None else float(value) for value, end in zip(known, worst, strict=True)]


def directions(objectives: Sequence[str]) -> list[Literal["maximize", "minimize"]]:
    """Of a study of Optuna's."""
    return ["maximize" if objective(name).maximised else "minimize" for name in objectives]


def violations(result: Result, budget: Budget, epochs: int) -> dict[str, float]:
    """Above zero is infeasible: the log of how far over budget, the share of `epochs` that was left
    to train, or 1 for failures. The same names for every result: some samplers need that."""
    none = dict.fromkeys([*budget.limits(), "stopped", "failure"], 0.0)
    if result.state == "complete":
        return none
    if result.state == "stopped":
        return {**none, "stopped": 1 - result.epochs / epochs}
    excess = {name: math.log(ratio) for name, ratio in budget.excess(result.costs).items()}
    return {**none, **(excess or {"failure": 1.0})}
