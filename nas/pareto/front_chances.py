"""How sure a front is: the chance of each network to be on it, without the noise of seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.pareto.front import objective_points
from nas.pareto.hypervolume import ranks
from nas.pareto.result import Result

FREEDOM = 1.5  # of Student's t: now and then a training collapses (benchmarks/repeats.py)
NOISE = (0.002, 0.1)  # of seeds, the best network's scale: least and most that is considered
LOUDEST = 30.0  # times as much, of the worst
SCALES, STEPS = 12, 300  # of the grids of the noise and of Dice
MOST = 150  # networks that are considered: the others are far from the front
FITTED = 300  # networks by which the prior is fitted


def by_rank(results: Sequence[Result], objectives: Sequence[str]) -> list[Result]:
    """The complete results: the front, then the front without those, and so on; each by Dice."""
    place = ranks(results, objectives)
    known = [result for result in results if result.key in place]
    return sorted(known, key=lambda r: (place[r.key], -(r.dice or 0.0), r.key))


def front_chances(results: Sequence[Result], objectives: Sequence[str]) -> dict[str, float]:
    """The chance, by key, that no network which costs no more has a higher true Dice.

    Of the `MOST` results that are nearest to the front; empty where none was trained again. The
    true Dice of network i is what its trainings scatter about; costs are taken as exact. Assumed
    is, for training j of i,

        Dice_ij = true_i + noise * w_i * t_ij,    true_i = line(costs of i) + spread * t_i

    with t of Student's distribution with `FREEDOM` degrees, since single seeds and whole networks
    fail. The line (Theil-Sen, through the logarithms of the costs) and the width about it come
    from the first trainings of all; noise^2 + spread^2 is that width squared. The worse a network,
    the more its seeds differ: w_i is 1 for the best first training, and one more for each width
    below it. Every scale within `NOISE` is as probable as any other before there are repeats. These
    tell the noise, all together, by how probable they are *given* the first trainings: those were
    chosen for being high, which says nothing more once they are given (no winner's curse; empirical
    Bayes, as in Gelman et al., Bayesian Data Analysis, chapter 5). All is integrated on grids:
    nothing is drawn.
    """
    complete = [r for r in by_rank(results, objectives) if r.dice is not None]
    near = complete[:MOST]
    if not any(result.trainings for result in near):
        return {}
    trainings = [np.array(result.trainings or (result.dice,), float) for result in near]
    costs = [name for name in objectives if name != "dice"]
    centres, width = _prior(complete, near, costs)
    dice = np.linspace(
        max(0.0, min(map(np.min, trainings)) - 0.05),
        min(1.0, max(map(np.max, trainings)) + 0.1),
        STEPS,
    )
    noises = np.geomspace(*NOISE, SCALES)[:, None]  # (noise, dice)
    spreads = np.sqrt(np.maximum(width**2 - noises**2, (width / 4) ** 2))
    top = max(own[0] for own in trainings)
    true, weights = np.empty((len(near), SCALES, STEPS)), np.zeros(SCALES)  # logarithms
    for place, (centre, own) in enumerate(zip(centres, trainings, strict=True)):
        scales = noises * min(1 + (top - own[0]) / width, LOUDEST)
        seen = _log_t(dice - centre, spreads) + _log_t(dice - own[0], scales)
        before = _log_sum(seen)
        for again in own[1:]:
            seen = seen + _log_t(dice - again, scales)
        after = _log_sum(seen)
        true[place] = seen - after
        weights += (after - before)[:, 0]
    probable = np.exp(true)
    below = np.log(np.cumsum(probable, axis=-1) - probable / 2 + 1e-300)
    best = np.tensordot(_no_dearer(near, costs).astype(float), below, axes=1)
    weights = np.exp(weights - weights.max())
    chances = (probable * np.exp(best)).sum(axis=-1) @ (weights / weights.sum())
    return {result.key: float(chance) for result, chance in zip(near, chances, strict=True)}


def _prior(
    complete: Sequence[Result], near: Sequence[Result], costs: Sequence[str]
) -> tuple[np.ndarray, float]:
    """What the first training of each of `near` is expected to give by its costs, and the width
    about that: of the upper half, for the lower one holds those that failed."""
    few = complete[:: -(-len(complete) // FITTED)]
    x, y = _size(few, costs), np.array([r.trainings[0] if r.trainings else r.dice for r in few])
    i, j = np.triu_indices(len(few), 1)
    apart = np.abs(x[i] - x[j])
    far = (apart > 0) & (apart >= np.median(apart)) if len(apart) else np.zeros(0, bool)
    slopes = (y[i] - y[j])[far] / (x[i] - x[j])[far]
    slope = float(np.median(slopes)) if len(slopes) else 0.0
    rest = y - slope * x
    middle = np.median(rest)
    above = rest[rest >= middle] - middle
    width = max(float(np.sqrt((above**2).mean())), 5 * NOISE[0])
    return slope * _size(near, costs) + middle, width


def _size(results: Sequence[Result], costs: Sequence[str]) -> np.ndarray:
    """(n,) The mean of the logarithms of the costs."""
    return np.log(np.maximum(objective_points(results, costs), 1e-9)).mean(axis=1)


def _no_dearer(results: Sequence[Result], costs: Sequence[str]) -> np.ndarray:
    """(n, n) In row i, the other results that cost no more than result i in any objective."""
    points = objective_points(results, costs)
    found = np.asarray((points[None] <= points[:, None]).all(axis=-1))
    np.fill_diagonal(found, False)
    return found


def _log_t(distance: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The logarithm of the density of Student's t, but for a constant."""
    return -(FREEDOM + 1) / 2 * np.log1p((distance / scale) ** 2 / FREEDOM) - np.log(scale)


def _log_sum(logarithms: np.ndarray) -> np.ndarray:
    """The logarithm of the sum along the last axis, which is kept."""
    most = logarithms.max(axis=-1, keepdims=True)
    total: np.ndarray = most + np.log(np.exp(logarithms - most).sum(axis=-1, keepdims=True))
    return total
