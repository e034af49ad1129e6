"""What a study proposes from and by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nas.config.run_config import SearchConfig
from nas.pareto.budget import Budget
from nas.study.scores import Scores
from search_spaces.space import Architecture, Option, Restrictions, SearchSpace

Costs = Callable[[Architecture], Mapping[str, float]]
"""What an architecture costs before it runs: params, macs, memory, as far as they are known.

A method `work`, where it has one, leaves out the memory, which takes longest to count. Methods
`macs_bounds` and `macs_at` are of networks whose input decides how many queries they compute; see
`TrainingCosts`.
"""


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """What a study proposes from and by: the space as it is restricted, the objectives, the budget
    of a network, the `epochs` of a whole training, how `search` wants proposals made, what a
    `prior` takes for usual in the place of what the space declares, and the `scores` of networks by
    shared weights, in a search that has them."""

    space: SearchSpace
    restrict: Restrictions
    objectives: tuple[str, ...]
    budget: Budget
    epochs: int
    search: SearchConfig
    prior: Mapping[str, Option] = field(default_factory=dict)
    seed: int = 0
    scores: Scores | None = None
