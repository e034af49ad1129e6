"""By how much a network is expected to improve a front, given its costs and a guess of its Dice."""

from __future__ import annotations

import numpy as np

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def best_within(
    limits: np.ndarray, costs: np.ndarray, dice: np.ndarray, reference: float
) -> np.ndarray:
    """The best Dice among the networks that cost no more than each limit, `reference` where none.

    limits: (q, k), costs: (n, k), dice: (n,). Returns (q,).
    """
    within = (costs[None] <= limits[:, None]).all(axis=2)  # (q, n)
    found = np.where(within, dice[None], -np.inf)
    return np.maximum(found.max(axis=1, initial=-np.inf), reference)


def improvement(
    limits: np.ndarray, best: np.ndarray, costs: np.ndarray, dice: np.ndarray
) -> np.ndarray:
    """The expected hypervolume improvement of networks whose costs are exact.

    Averaged over limits that a user may set: by how much the best Dice within the limit is expected
    to rise. With limits drawn evenly from the (log) costs it is the EHVI (Emmerich 2005) by quasi
    Monte Carlo, since a known cost leaves of it an integral over the one value that is not known:
    a Gauss-Hermite sum over `dice`, that of every network at `NODES` standard deviations.

    limits: (q, k), best: (q,), of `best_within`; costs: (p, k), dice: (p, nodes). Returns (p,).
    """
    within = (costs[:, None] <= limits[None]).all(axis=2)  # (p, q)
    gains = np.zeros(within.shape)
    for values, weight in zip(dice.T, WEIGHTS, strict=True):
        gains += weight * np.maximum(values[:, None] - best[None], 0.0)
    return np.asarray((gains * within).mean(axis=1))
