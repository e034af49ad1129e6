"""How many cases train, choose and test."""

from __future__ import annotations

from collections.abc import Sequence

from nas.analysis.plan.choice import Choice
from trainers.data.config import Groups, Split
from trainers.data.splits import group_names
from trainers.errors import UserError

VALIDATION, TEST = 0.2, 0.15
ENOUGH = 30  # groups, for a part that nothing may look at


def choose_split(names: Sequence[str], groups: Groups | None) -> Choice[Split]:
    """A fifth for validation; from 30 groups on 15% for a test. Raises UserError for one group."""
    count = len(group_names(list(names), groups))
    if count < 2:
        raise UserError(
            f"{count} case cannot be split into training and validation; expected two or more"
        )
    unit = "patients" if groups else "cases"
    if count >= ENOUGH:
        why = f"of {count} {unit}; a part that neither search nor retraining reads"
        return Choice(Split(validation=VALIDATION, test=TEST, groups=groups), why)
    why = f"{count} {unit} are too few for one; `segnas retrain --folds` tells more"
    return Choice(Split(validation=VALIDATION, groups=groups), why)
