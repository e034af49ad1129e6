"""The network whose weights candidates share, in a search whose strategy is `supernet`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trainers.strict import Strict

SPACE = "hybrid"  # whose networks can share weights

Share = Annotated[float, Field(gt=0, lt=1)]


class SupernetConfig(Strict):
    """How the shared weights are trained, and what they are used for.

    `share`: of the search's budget, which its training takes; or `epochs`, where they are set.
    `candidates`: how many networks are scored with the shared weights, at most; with `search.hours`
    for the share `scoring` of them, at most. `cases`: of the validation, that a score is of.
    `fine_tune`: the share of `train.epochs` that a candidate is trained, beginning with the weights
    that it inherits; null for whole trainings that begin with new weights.
    """

    share: Share = 0.3
    epochs: Annotated[int, Field(gt=0)] | None = None
    candidates: Annotated[int, Field(gt=0)] = 5000
    scoring: Share = 0.1
    cases: Annotated[int, Field(gt=0)] = 8
    fine_tune: Annotated[float, Field(gt=0, le=1)] | None = 0.33

    def candidate_epochs(self, training: int) -> int:
        """Those of a candidate, where a whole training has so many."""
        return training if self.fine_tune is None else max(1, round(self.fine_tune * training))
