"""Early stopping with several objectives: asynchronous successive halving by rank."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import moocore
import numpy as np

from nas.config.early_stopping import EarlyStopping
from nas.pareto.front import crowding, hypervolume_contributions, minimised
from nas.pareto.objectives import DICE, objective
from nas.pareto.result import Result
from trainers.config import TrainConfig

TIES = {"crowding": crowding, "hypervolume": hypervolume_contributions}

Rung = dict[str, tuple[float, ...]]  # the objectives of every candidate that reached it, minimised


class Scheduler:
    """Asynchronous successive halving (Li et al. 2020, ASHA), its stopping variant.

    A candidate that reaches a rung is placed among all that have reached it so far: by
    non-dominated sorting on Dice at that rung and the costs (Deb et al. 2002). Of n, itself
    included, it goes on if fewer than max(1, n // reduction) are placed before it; a rank shares a
    place, unless `ties` are split: then the best Dice comes first in it, and the rest as `ties`
    prefers. Nobody waits, nobody is judged twice at a rung.

    With Dice as the only objective this is, decision for decision, Optuna's
    `SuccessiveHalvingPruner` (`_is_trial_promotable_to_next_rung`). It is not Ray's
    `AsyncHyperBandScheduler`: that one compares with a percentile of the others, 100 (1 - 1 /
    reduction), linearly interpolated between two of their values, so that the place next to the
    last may go on as well if its value is close to the better one. Places have no value between
    them.

    A Dice or cost that is unknown or not finite is never let on, and does not count among the n.
    """

    def __init__(
        self, config: EarlyStopping, train: TrainConfig, objectives: Sequence[str]
    ) -> None:
        """`objectives`: dice, and costs. Raises ValueError, UserError."""
        if DICE not in [objective(name) for name in objectives]:
            raise ValueError(f"objectives {list(objectives)}; expected dice among them")
        self._objectives = tuple(objectives)
        self._reduction = config.reduction
        self._together = config.ties == "together"
        self._ties = TIES.get(config.ties, crowding)
        # By the number of validations, which is the length of a curve.
        self._brackets: list[dict[int, Rung]] = [
            {epoch // train.validate_every: {} for epoch in rungs} for rungs in config.rungs(train)
        ]
        self._stopped: dict[str, int] = {}  # key -> validations

    def report(self, key: str, curve: Sequence[float], costs: Mapping[str, float | None]) -> bool:
        """Whether the candidate goes on after the last validation of `curve`.

        `curve`: Dice of every validation so far. It is judged where its end is a rung, once; the
        same report gets the same answer. A longer curve has passed its lower rungs, which are
        filled where they do not know it; what a rung knows stays as it is. A stopped candidate
        that reports a longer curve is no longer stopped, but continued.
        """
        if self._stopped.get(key) == len(curve):
            return False
        rungs = self._rungs(key)
        judged = len(curve) in rungs and key not in rungs[len(curve)]
        self._record(key, curve, costs)
        if self._stopped.get(key, len(curve)) < len(curve):
            del self._stopped[key]
        if not judged or self._newest_goes_on(rungs[len(curve)]):
            return True
        self._stopped[key] = len(curve)
        return False

    def restore(self, results: Iterable[Result]) -> None:
        """Take in the ended candidates of an earlier session; nobody is judged."""
        for result in results:
            self._record(result.key, result.curve, result.costs)
            self._stopped.pop(result.key, None)
            if result.state == "stopped":
                self._stopped[result.key] = len(result.curve)

    def readmit(self, key: str) -> None:
        """Let a stopped candidate go on from where it is."""
        self._stopped.pop(key, None)

    def promising(self) -> list[str]:
        """Keys of the stopped that no other dominates in the rung where they were stopped.

        They were stopped for lack of room only. Where a rank goes on together there are none, and
        those count that only the first rank dominates. By all that is known now; those stopped at
        the latest rung come first (the least is left to train), within a rung the best place.
        """
        found: list[tuple[int, int, float, str]] = []
        for rungs in self._brackets:
            for validations, rung in rungs.items():
                stopped = {key for key in rung if self._stopped.get(key) == validations}
                if stopped:
                    found += [
                        (-validations, rank, -merit, key)
                        for key, rank, merit in self._places(rung)
                        if key in stopped and rank <= self._together
                    ]
        return [key for *_, key in sorted(found)]

    def _places(self, rung: Rung) -> Iterator[tuple[str, int, float]]:
        """The key, the rank and the merit within the rank of all whose objectives are known."""
        keys = np.array([key for key in rung if np.isfinite(rung[key]).all()])
        if not len(keys):
            return
        points = _known(rung)
        ranks = moocore.pareto_rank(points)
        for rank in np.unique(ranks).tolist():
            merits = self._merits(points[ranks == rank]).tolist()
            for key, merit in zip(keys[ranks == rank].tolist(), merits, strict=True):
                yield key, rank, merit

    def bracket(self, key: str) -> int:
        """The bracket of a candidate, 0 to `brackets` - 1: by its key, so always the same."""
        return zlib.crc32(key.encode()) % len(self._brackets)

    def _rungs(self, key: str) -> dict[int, Rung]:
        return self._brackets[self.bracket(key)]

    def _record(self, key: str, curve: Sequence[float], costs: Mapping[str, float | None]) -> None:
        for validations, rung in self._rungs(key).items():
            if validations <= len(curve):
                values = {**costs, "dice": curve[validations - 1]}
                rung.setdefault(key, tuple(minimised(values.get(n), n) for n in self._objectives))

    def _newest_goes_on(self, rung: Rung) -> bool:
        if not np.isfinite(next(reversed(rung.values()))).all():
            return False
        points = _known(rung)
        room = max(1, len(points) // self._reduction)
        ranks = moocore.pareto_rank(points)
        before = int((ranks < ranks[-1]).sum())
        if before >= room or self._together:
            return before < room
        merits = self._merits(points[ranks == ranks[-1]])
        return before + int((merits > merits[-1]).sum()) < room

    def _merits(self, points: np.ndarray) -> np.ndarray:
        """(n,) of one rank's (n, m) points: the best Dice before all, then by the ties."""
        dice = points[:, self._objectives.index("dice")]
        return np.where(dice == dice.min(), np.inf, self._ties(points))


def _known(rung: Rung) -> np.ndarray:
    points = np.array(list(rung.values()))
    return points[np.isfinite(points).all(axis=1)]
