"""What a search has found, for those who write and show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nas.pareto.result import Result
from search_spaces.space import SearchSpace

if TYPE_CHECKING:  # it needs Optuna, reading a front does not
    from nas.study.knob_importance import Importance


@dataclass(frozen=True)
class Findings:
    """The networks of a search.

    `classes` names those of Dice per class, in order. `space` tells knobs and pictures, `starts`
    the names of warm starts by key. `matters`: of the knobs; None while a search runs.
    """

    results: Sequence[Result]
    objectives: Sequence[str]
    title: str
    classes: Sequence[str]
    space: SearchSpace | None = None
    starts: Mapping[str, str] = field(default_factory=dict)
    matters: Sequence[Importance] | None = None
