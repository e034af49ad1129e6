"""How far a search has come: who is on which front, and how much the first one dominates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import moocore
import numpy as np

from nas.pareto.front import objective_points, places
from nas.pareto.objectives import objective
from nas.pareto.reference import above_reference
from nas.pareto.result import Result


def pareto_ranks(points: np.ndarray) -> np.ndarray:
    """Non-dominated rank: 1 for the front, 2 for the front without those, and so on.

    points: (n, m), minimised. Returns (n,) int (Deb et al. 2002, NSGA-II, section III-A). Equal
    points have one rank; a row with NaN has rank 0.
    """
    ranks = np.zeros(len(points), dtype=int)
    known = ~np.isnan(points).any(axis=1)
    if known.any():
        ranks[known] = moocore.pareto_rank(places(points[known])) + 1
    return ranks


def ranks(results: Sequence[Result], objectives: Sequence[str]) -> dict[str, int]:
    """The rank of every complete result whose objectives are all known, by key."""
    complete = [result for result in results if result.state == "complete"]
    found = pareto_ranks(objective_points(complete, objectives))
    return {r.key: int(rank) for r, rank in zip(complete, found, strict=True) if rank}


def hypervolume(results: Sequence[Result], objectives: Sequence[str]) -> float:
    """The share of the objective space that the complete results dominate, from 0 to 1.

    Only those count that are `above_reference`. Each objective is scaled to [0, 1] once and for
    all: Dice as it is, a cost by its logarithm between the ends of its `span`, against the worst
    corner (Dice 0, every cost at its upper end), so that searches with the same objectives can be
    compared. The share falls only where a better network raises the reference above others. Rounded
    to 9 digits: the order of the results does not show.
    """
    points = objective_points(above_reference(results), objectives)
    points = points[~np.isnan(points).any(axis=1)]
    if not len(points):
        return 0.0
    columns = [_unit(column, name) for column, name in zip(points.T, objectives, strict=True)]
    volume = moocore.hypervolume(np.stack(columns, axis=1), ref=np.ones(len(columns)))
    return round(float(volume), 9)


def missing_points(
    known: Mapping[int, float], results: Sequence[Result], objectives: Sequence[str]
) -> Iterator[tuple[int, float]]:
    """(trials ended, hypervolume) for each number of `results` that `known` lacks, and for all of
    them where it has another value: a stopped candidate was trained on, or measured again.

    Those in between are held between their neighbours, for a search that was opened again has its
    results in the order in which they were proposed.
    """
    for ended in range(1, len(results)):
        if ended not in known:
            value = hypervolume(results[:ended], objectives)
            low = max((v for n, v in known.items() if n < ended), default=0.0)
            high = min((v for n, v in known.items() if n > ended), default=1.0)
            yield ended, min(max(value, low), high)
    if results:
        last = hypervolume(results, objectives)
        if known.get(len(results)) != last:
            yield len(results), last


def _unit(column: np.ndarray, name: str) -> np.ndarray:
    """0 for the best, 1 for the worst; beyond either end, the end itself."""
    if objective(name).maximised:  # and so negated among the points
        return np.clip(1.0 + column, 0.0, 1.0)
    low, high = np.log10(objective(name).span)
    return np.clip((np.log10(np.maximum(column, 1e-300)) - low) / (high - low), 0.0, 1.0)
