"""What a budget lets through of the architectures that were drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.analysis.preview.survey import Costs, Survey
from nas.pareto.budget import Budget
from nas.pareto.objectives import objective


@dataclass(frozen=True)
class LimitShare:
    """One limit: the share of the `seen` architectures within it, and the share that the budget
    would let through without it, as far as costs are known without training or measuring."""

    name: str
    limit: float
    seen: int
    share: float
    share_without: float


@dataclass(frozen=True)
class BudgetShare:
    """`share`: of architectures within every limit; `limits`: each one alone."""

    share: float
    limits: tuple[LimitShare, ...]


def budget_share(survey: Survey, budget: Budget) -> BudgetShare:
    """The shares of the survey within `budget`; a cost that is known of none limits nothing."""
    limits = budget.limits()
    last = min((survey.leading.get(name, len(survey.costs)) for name in limits), default=0)
    found = []
    for name, limit in limits.items():
        if seen := survey.values(name):
            others = {other: value for other, value in limits.items() if other != name}
            share = sum(value <= limit for value in seen) / len(seen)
            without = share_within(survey.costs[:last], others)
            found.append(LimitShare(name, limit, len(seen), share, without))
    return BudgetShare(share_within(survey.costs, limits), tuple(found))


def share_within(costs: Sequence[Costs], limits: Mapping[str, float]) -> float:
    """The share of architectures within all limits.

    Limit by limit, the share of those within the limits before it: a cost may be known of a random
    part of these only. Architectures without any cost cannot be built, and are never within.
    """
    inside = [known for known in costs if known]
    share = len(inside) / len(costs) if costs else 1.0
    for name, limit in limits.items():
        known = [one[name] for one in inside if name in one]
        share *= sum(value <= limit for value in known) / len(known) if known else 1.0
        inside = [one for one in inside if one.get(name, limit) <= limit]
    return share


def explain_nothing_within(allowed: BudgetShare, survey: Survey) -> str:
    """Which limits keep everything out, the worst first, and what was seen of their costs."""
    worst = sorted(allowed.limits, key=lambda limit: (-limit.share_without, limit.share))
    lines = [_limit_line(limit, survey.values(limit.name)) for limit in worst]
    if survey.broken:
        reason = next(iter(survey.broken.values()))
        lines.append(f"{len(survey.broken)} architectures fail, the first: {reason}")
    return "\n  ".join(["no architecture is let through:", *lines])


def _limit_line(limit: LimitShare, seen: Sequence[float]) -> str:
    exact = objective(limit.name).exact
    low, middle, high = (exact(float(q)) for q in np.quantile(seen, (0, 0.5, 1)))
    without = f"; without it, {limit.share_without:.1%} would pass" if limit.share_without else ""
    return (
        f"budget.{limit.name} = {exact(limit.limit)} lets {limit.share:.1%} through; "
        f"seen: {low} to {high}, median {middle}{without}"
    )
