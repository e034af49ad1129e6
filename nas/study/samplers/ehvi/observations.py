"""What a study has found so far, as a model of Dice reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from nas.cost.count import kept_share
from nas.pareto.budget import Budget
from nas.pareto.result import Result
from nas.study.samplers.counted_network import CountedNetwork, NetworkCounter
from nas.study.stored_results import revised

KEY = "key"  # the attribute of a trial with the key of its network, once it was admitted


@dataclass(frozen=True)
class Observation:
    """A network that was trained, with all its costs. `curve`: the Dice of every validation;
    `dice`: None where it was stopped early, or is over the budget by what was measured since."""

    network: CountedNetwork
    dice: float | None
    curve: tuple[float, ...] = ()


class Observations:
    """Reads the trials of a study for these objectives, each once, with the latencies that were
    measured later or again before that, as when a search goes on."""

    def __init__(self, objectives: Sequence[str], counter: NetworkCounter, budget: Budget) -> None:
        self.trained: list[Observation] = []
        self.running: list[FrozenTrial] = []
        self.proposed: set[str] = set()  # keys
        self._objectives, self._counter, self._budget = tuple(objectives), counter, budget
        self._read: set[int] = set()

    def update(self, study: Study) -> None:
        """Take note of the trials that ended since, and of those that run."""
        trials = study.get_trials(deepcopy=False)
        self.running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        self.proposed |= {self._key(trial) for trial in self.running if trial.params}
        new = [t for t in trials if t.state.is_finished() and t.number not in self._read]
        self._read.update(trial.number for trial in new)
        known = study.user_attrs if new else {}
        for trial in new:
            if trial.state == TrialState.COMPLETE:
                self._read_result(trial, known)

    def final_dice(self) -> list[float]:
        """The Dice of every trained network after a whole training.

        Of one that was stopped, its last plus what the complete ones gained from there on, in the
        median.
        """
        whole = [(o.curve, o.dice) for o in self.trained if o.dice is not None]
        gains: dict[int, float] = {}
        for length in {len(o.curve) for o in self.trained if o.dice is None}:
            later = [d - curve[length - 1] for curve, d in whole if _is_known(curve, length)]
            gains[length] = median(later) if later else 0.0
        return [
            o.curve[-1] + gains[len(o.curve)] if o.dice is None else o.dice for o in self.trained
        ]

    def _read_result(self, trial: FrozenTrial, attributes: Mapping[str, Any]) -> None:
        if "repeat_of" in trial.user_attrs:
            return
        told = trial.user_attrs.get("result")
        if told is None:
            self._read_values(trial)
            return
        first = Result.from_json(told, "")
        result = revised(first, attributes, (), self._budget)
        self.proposed.add(result.key)
        least = result.macs_bounds and result.macs_bounds[0]
        kept = None if least is None else kept_share(result.measured)
        network = CountedNetwork(trial.params, result.key, result.most_costs, least, kept)
        known = first.state != "infeasible" and _is_known(result.curve, len(result.curve))
        if result.state == "complete" or known:
            self.trained.append(Observation(network, result.dice, result.curve))

    def _read_values(self, trial: FrozenTrial) -> None:
        """Of a study that keeps no results."""
        self.proposed.add(key := self._key(trial))
        values = dict(zip(self._objectives, trial.values, strict=True))
        feasible = all(value <= 0 for value in trial.constraints.values())
        if feasible and all(map(math.isfinite, trial.values)):
            dice = values.pop("dice")
            self.trained.append(Observation(CountedNetwork(trial.params, key, values), dice))

    def _key(self, trial: FrozenTrial) -> str:
        return trial.user_attrs.get(KEY) or self._counter.architecture(trial.params).key


def _is_known(curve: Sequence[float], length: int) -> bool:
    """Whether there is a Dice after so many validations: an evaluator may tell of none."""
    return 0 < length <= len(curve) and math.isfinite(curve[length - 1])
