"""A candidate between its start and its result."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nas.engine.report import Report
from nas.pareto.result import Result, State, known
from nas.study.candidate import Candidate
from nas.study.repeats import Repeat


@dataclass
class Running:
    """A candidate under way. `started` by the session's clock; `train_seconds` are of its training
    in this session.

    `earlier`: the seconds that sessions before trained it; None until the first report tells.
    `ended`: how the session decided to end it before its time, and why.
    """

    candidate: Candidate
    started: float
    train_seconds: float = 0.0
    earlier: float | None = None
    report: Report = field(default_factory=Report)
    ended: tuple[State, str] | None = None

    def hear(self, report: Report) -> None:
        """Take its next report, but for the seconds of its step."""
        self.report = report
        if self.earlier is None:
            self.earlier = report.earlier

    @property
    def all_seconds(self) -> float:
        """Of its training in all sessions."""
        return (self.earlier or 0.0) + self.train_seconds

    @property
    def is_repeat(self) -> bool:
        """Whether it was trained before, with another seed."""
        return self.candidate.seed is not None

    def result(self, worker_seconds: float) -> Result:
        """What came of it, once it has ended, after so many seconds of a worker's in this session.

        Of sessions before only the seconds of training are known.
        """
        report = self.report
        state, reason = self._end
        complete = state == "complete"
        return self.candidate.result(
            state=state,
            reason=reason,
            dice=report.dice if complete else None,
            dice_per_class=self._dice_per_class if complete else {},
            epochs=report.epoch,
            curve=report.curve,
            train_seconds=self.all_seconds,
            worker_seconds=(self.earlier or 0.0) + worker_seconds,
            measured=report.measured if complete else {},
            accumulate=report.accumulate,
        )

    def repeat(self) -> Repeat:
        """What came of one more training, once it has ended."""
        assert self.candidate.seed is not None
        state, reason = self._end
        complete = state == "complete"
        return Repeat(
            key=self.candidate.key,
            architecture=self.candidate.architecture.to_json(),
            seed=self.candidate.seed,
            dice=self.report.dice if complete else None,
            curve=self.report.curve,
            reason=reason,
            dice_per_class=self._dice_per_class if complete else {},
        )

    @property
    def _end(self) -> tuple[State, str | None]:
        if self.report.reason:
            return "infeasible", self.report.reason
        if self.report.fidelity.shared:
            return "infeasible", "its Dice is of weights that are shared: a score, and no result"
        if self.ended:
            return self.ended
        dice = self.report.dice
        if self.report.done and (dice is None or not math.isfinite(dice)):
            return "infeasible", "its Dice is no number"
        return "complete", None

    @property
    def _dice_per_class(self) -> dict[str, float | None]:
        return {name: known(value) for name, value in self.report.dice_per_class.items()}
