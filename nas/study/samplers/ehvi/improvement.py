"""By how much a network is expected to improve a front, given its costs and a guess of its Dice."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from nas.pareto.front import non_dominated


def best_within(
    limits: np.ndarray, costs: np.ndarray, dice: np.ndarray, reference: float
) -> np.ndarray:
    """The best Dice among the networks that cost no more than each limit, `reference` where none.

    limits: (q, k), costs: (n, k), dice: (n,). Returns (q,).
    """
    front = non_dominated(np.column_stack([costs, -dice]))  # no other is the best within any limit
    within = (costs[front] <= limits[:, None]).all(axis=2)  # (q, n)
    found = np.where(within, dice[front], -np.inf)
    return np.maximum(found.max(axis=1, initial=-np.inf), reference)


def expected_gain(mean: np.ndarray, std: np.ndarray, best: np.ndarray) -> np.ndarray:
    """The mean of max(dice - best, 0) for a normal dice (Jones et al. 1998, eq. 15); std > 0.

    The shapes broadcast.
    """
    z = (mean - best) / std
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.asarray(std * (z * ndtr(z) + density))


def improvement(
    limits: np.ndarray, best: np.ndarray, costs: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """The expected hypervolume improvement of networks whose costs are exact.

    Averaged over limits that a user may set: by how much the best Dice within the limit is expected
    to rise. With limits drawn evenly from the (log) costs it is the EHVI (Emmerich 2005) by quasi
    Monte Carlo, since a known cost leaves of it an integral over the one value that is not known.

    limits: (q, k), best: (q,), of `best_within`; costs: (p, k), mean, std: (p,). Returns (p,).
    """
    within = (costs[:, None] <= limits[None]).all(axis=2)  # (p, q)
    gains = expected_gain(mean[:, None], std[:, None], best[None])
    return np.asarray((gains * within).mean(axis=1))
