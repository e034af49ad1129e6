"""Early stopping with several objectives: asynchronous successive halving by rank."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

import moocore
import numpy as np

from nas.config.early_stopping import EarlyStopping
from nas.pareto.front import minimised
from nas.pareto.objectives import DICE, device_of, objective
from nas.pareto.result import Result
from trainers.config import TrainConfig

Rung = dict[str, tuple[float, ...]]  # the objectives of every candidate that reached it, minimised


class Scheduler:
    """Asynchronous successive halving (Li et al. 2020, ASHA), its stopping variant.

    A candidate that reaches a rung, an epoch at which candidates are compared, is ranked among all
    that have reached it so far: by non-dominated sorting on Dice at that rung and the costs (Deb et
    al. 2002). Of n, itself included, it goes on if fewer than max(1, n // reduction) are of a
    better rank. Nobody waits, nobody is judged twice at a rung.

    With Dice as the only objective this is, decision for decision, Optuna's
    `SuccessiveHalvingPruner` (`_is_trial_promotable_to_next_rung`). It is not Ray's
    `AsyncHyperBandScheduler`: that one compares with a percentile of the others, 100 (1 - 1 /
    reduction), linearly interpolated between two of their values, so that the place next to the
    last may go on as well if its value is close to the better one. Ranks have no value between
    them.

    A Dice or cost that is unknown or not finite is never let on, and does not count among the n;
    but one whose latency waits for a device that is away is compared by what else is known.
    """

    def __init__(
        self, config: EarlyStopping, train: TrainConfig, objectives: Sequence[str]
    ) -> None:
        """`objectives`: dice, and costs. Raises ValueError, UserError."""
        if DICE not in [objective(name) for name in objectives]:
            raise ValueError(f"objectives {list(objectives)}; expected dice among them")
        self._objectives = tuple(objectives)
        self._reduction = config.reduction
        self._validate_every = train.validate_every
        self._brackets: list[dict[int, Rung]] = [  # by the epoch of the rung
            {epoch: {} for epoch in rungs} for rungs in config.rungs(train)
        ]
        self._stopped: dict[str, int] = {}  # key -> epoch

    def report(
        self, key: str, epoch: int, curve: Sequence[float], costs: Mapping[str, float]
    ) -> bool:
        """Whether the candidate goes on after a validation at this epoch.

        `curve`: Dice of every validation so far. It is judged where the epoch is a rung, once, or
        at the first validation after it where it has epochs of its own; the same report gets the
        same answer. Lower rungs, which it has passed, are filled where they do
        not know it; what a rung knows stays as it is.
        """
        if self._stopped.get(key) == epoch:
            return False
        rungs = self._rungs(key)
        new = [rung for rung in rungs if rung <= epoch and key not in rungs[rung]]
        if not self._at_own_epochs(epoch, curve):
            new = [rung for rung in new if rung == epoch]
        self._record(key, epoch, curve, costs)
        judged = max((rung for rung in new if key in rungs[rung]), default=None)
        if judged is None or self._newest_goes_on(rungs[judged]):
            return True
        self._stopped[key] = epoch
        return False

    def restore(self, results: Iterable[Result]) -> None:
        """Take in the ended candidates of an earlier session; nobody is judged."""
        for result in results:
            self._record(result.key, result.epochs, result.curve, result.most_costs)
            if result.state == "stopped":
                self._stopped[result.key] = result.epochs

    def bracket(self, key: str) -> int:
        """The bracket of a candidate, 0 to `brackets` - 1: by its key, so always the same."""
        return zlib.crc32(key.encode()) % len(self._brackets)

    def _rungs(self, key: str) -> dict[int, Rung]:
        return self._brackets[self.bracket(key)]

    def _record(
        self, key: str, epoch: int, curve: Sequence[float], costs: Mapping[str, float]
    ) -> None:
        for rung_epoch, rung in self._rungs(key).items():
            validations = rung_epoch // self._validate_every
            if self._at_own_epochs(epoch, curve):
                validations = rung_epoch * len(curve) // epoch
            if rung_epoch <= epoch and 0 < validations <= len(curve):
                values = {**costs, "dice": curve[validations - 1]}
                known = tuple(minimised(values.get(n), n) for n in self._objectives)
                rung.setdefault(key, known)

    def _at_own_epochs(self, epoch: int, curve: Sequence[float]) -> bool:
        """Whether it was validated less often than `train` says, as an evaluator may like to."""
        return len(curve) < epoch // self._validate_every

    def _newest_goes_on(self, rung: Rung) -> bool:
        points = np.array(list(rung.values()))
        waits = np.isnan(points[-1]) & np.array([bool(device_of(n)) for n in self._objectives])
        points = points[:, ~waits]
        known = np.isfinite(points).all(axis=1)
        if not known[-1]:
            return False
        ranks = moocore.pareto_rank(points[known])
        room = max(1, len(ranks) // self._reduction)
        return int((ranks < ranks[-1]).sum()) < room
