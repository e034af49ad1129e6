"""What a study proposes from and by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nas.config.run_config import SearchConfig
from nas.pareto.budget import Budget
from search_spaces.space import Architecture, Restrictions, SearchSpace

Costs = Callable[[Architecture], Mapping[str, float]]
"""What an architecture costs before it runs: params, macs, memory, as far as they are known."""


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """What a study proposes from and by: the space as it is restricted, the objectives, the budget
    of a network, the `epochs` of a whole training, and how `search` wants proposals made."""

    space: SearchSpace
    restrict: Restrictions
    objectives: tuple[str, ...]
    budget: Budget
    epochs: int
    search: SearchConfig
    seed: int = 0
