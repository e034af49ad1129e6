"""What a study has found so far, as a model of Dice reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

Curve = tuple[float, ...]


@dataclass(frozen=True)
class Observation:
    """One network that was trained. `dice`: None where it was not trained to the end."""

    params: Mapping[str, Any]
    key: str
    dice: float | None
    curve: Curve
    latency_ms: float | None


class Observations:
    """Reads the trials of a study, each once."""

    def __init__(self) -> None:
        self.trained: list[Observation] = []
        self.running: list[FrozenTrial] = []
        self.proposed: set[str] = set()  # keys
        self._read: set[int] = set()

    def update(self, study: Study) -> None:
        """Take note of the trials that ended, and of those that run."""
        trials = study.get_trials(deepcopy=False)
        self.running = [t for t in trials if t.state == TrialState.RUNNING and t.params]
        self.proposed |= {key for t in self.running if (key := t.user_attrs.get("key"))}
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self._read:
                self._read.add(trial.number)
                self._read_result(trial)

    def _read_result(self, trial: FrozenTrial) -> None:
        told = trial.user_attrs.get("result")
        if not told:
            return
        self.proposed.add(told["key"])
        if told["state"] != "infeasible":
            self.trained.append(
                Observation(
                    params=trial.params,
                    key=told["key"],
                    dice=told["dice"] if told["state"] == "complete" else None,
                    curve=tuple(told["curve"]),
                    latency_ms=told.get("latency_ms"),
                )
            )

    def final_dice(self) -> list[float]:
        """The Dice of every trained network after a whole training.

        Of one that was stopped, its last plus what the complete ones gained from there on, in the
        median.
        """
        whole = [o for o in self.trained if o.dice is not None]
        gains: dict[int, float] = {}
        for epochs in {len(o.curve) for o in self.trained if o.dice is None}:
            later = [o.dice - o.curve[epochs - 1] for o in whole if len(o.curve) >= epochs > 0]
            gains[epochs] = median(later) if later else 0.0
        return [
            o.dice if o.dice is not None else (o.curve[-1] if o.curve else 0.0) + gains[len(o.curve)]
            for o in self.trained
        ]


def complete(observations: Sequence[Observation]) -> list[int]:
    """The places of those trained to the end."""
    return [place for place, o in enumerate(observations) if o.dice is not None]
