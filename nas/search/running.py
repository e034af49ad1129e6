"""A candidate between its start and its result."""

from __future__ import annotations

from dataclasses import dataclass, field

from nas.engine.report import Report
from nas.pareto.result import State
from nas.study.candidate import Candidate


@dataclass
class Running:
    """A candidate under way. `started` by the session's clock; `train_seconds` are of training.

    `ended`: how the session decided to end it before its time, and why.
    """

    candidate: Candidate
    started: float
    train_seconds: float = 0.0
    report: Report = field(default_factory=Report)
    ended: tuple[State, str] | None = None
