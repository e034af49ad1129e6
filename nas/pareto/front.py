"""Pareto mathematics: pure functions on arrays, every objective minimised; then from results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import moocore
import numpy as np

from nas.pareto.objectives import LATENCY, device_of, objective
from nas.pareto.result import Result
from trainers.errors import UserError

DECADE = 10.0


def non_dominated(points: np.ndarray) -> np.ndarray:
    """Mask of the points that no other dominates. All objectives are minimised.

    points: (n, m). Returns (n,) bool. Equal points are all kept; a row with NaN never is, and
    dominates nothing. Raises ValueError unless points is a matrix.
    """
    if points.ndim != 2:
        raise ValueError(f"points must be (n, m), got shape {points.shape}")
    kept = ~np.isnan(points).any(axis=1)
    if kept.any():
        kept[kept] = moocore.is_nondominated(places(points[kept]), keep_weakly=True)
    return kept


def places(points: np.ndarray) -> np.ndarray:
    """Each value's place among those of its column, from 0; equal values share one. (n, m) float.

    They dominate each other as the values do, and moocore takes points with several infinities for
    non-dominated.
    """
    columns = [np.unique(column, return_inverse=True)[1] for column in points.T]
    return np.stack(columns, axis=1).astype(float)


def knee(points: np.ndarray) -> int:
    """Index of the member that gives up least of everything: the closest to the ideal point.

    points: (n, m) with n >= 1, finite, a front. Each column is scaled to [0, 1] over the front, a
    positive one that spans a decade or more in log10 first; a constant column does not count. The
    ideal point (the best of each column) is used, not the hyperplane through the extremes: the
    costs of a network rise together, so that one member is the extreme of several columns and no
    hyperplane is defined. Ties go to the smaller first objective, then the second, and so on.
    Raises ValueError for an empty front.
    """
    if points.ndim != 2 or len(points) == 0:
        raise ValueError(f"a knee needs a front of (n >= 1, m) points, got shape {points.shape}")
    scaled = np.stack([_unit(column) for column in points.T], axis=1)
    # Rounded, so that rounding errors of the scaling do not decide between equal distances.
    distances = np.linalg.norm(scaled, axis=1).round(12)
    return int(np.lexsort((*points.T[::-1], distances))[0])


def objective_points(results: Sequence[Result], objectives: Sequence[str]) -> np.ndarray:
    """(n, m) objectives of n results, all to be minimised: Dice is negated, unknown is NaN.

    Raises ValueError for an unknown objective.
    """
    signs = np.array([objective(name).sign for name in objectives])
    rows = [[result.value(name) for name in objectives] for result in results]
    return np.array(rows, dtype=float).reshape(len(results), len(objectives)) * signs


def front(results: Iterable[Result], objectives: Sequence[str]) -> list[Result]:
    """The non-dominated among the complete results, from few parameters to many.

    One whose latency on a device is not known yet is none of them. Raises UserError where latencies
    of one objective were measured on several devices.
    """
    complete = [result for result in results if result.state == "complete"]
    for name in objectives:
        devices = _devices(complete, name)
        if len(devices) > 1:
            raise UserError(
                f"latencies of several devices make no front: {', '.join(sorted(devices))}; "
                "measure all networks on one"
            )
    kept = non_dominated(objective_points(complete, objectives))
    members = [result for result, keep in zip(complete, kept, strict=True) if keep]
    return sorted(members, key=_by_size)


def spread(members: Sequence[Result], most: int) -> Sequence[Result]:
    """As many members as there is room for, evenly from the first to the last."""
    if len(members) <= most:
        return members
    step = (len(members) - 1) / (most - 1)
    return [members[round(i * step)] for i in range(most)]


def _devices(results: Sequence[Result], name: str) -> set[str]:
    """The processors and cards that the objective of that name was measured on."""
    if device := device_of(name):
        told = [result.latencies[device] for result in results if device in result.latencies]
        return {latency["conditions"]["device"] for latency in told}
    if name != LATENCY:
        return set()
    return {result.device for result in results if result.device}


def _unit(column: np.ndarray) -> np.ndarray:
    low, high = column.min(), column.max()
    if low > 0 and high >= DECADE * low:
        column, low, high = np.log10(column), np.log10(low), np.log10(high)
    return (column - low) / (high - low) if high > low else np.zeros_like(column)


def minimised(value: float | None, name: str) -> float:
    """A value of the objective of that name as one to be minimised; NaN where it is not known."""
    sign = objective(name).sign
    return np.nan if value is None else sign * value


def _by_size(result: Result) -> tuple[float, float, str]:
    dice = minimised(result.dice, "dice")
    return (float(result.costs.get("params", np.inf)), dice, result.key)
