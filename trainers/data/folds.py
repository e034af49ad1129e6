"""The parts of a cross-validation."""

from __future__ import annotations

import numpy as np

from trainers.data.config import Groups
from trainers.data.splits import Cases, group_names
from trainers.errors import UserError


def make_folds(cases: Cases, count: int, seed: int, groups: Groups | None = None) -> list[Cases]:
    """`count` splits of the training and validation cases; each case validates exactly one.

    Test cases stay out of all of them. Cases of one group, by `groups` or as the data say, validate
    the same fold. The result
    depends on the names and the seed, never on the split that they come from; without groups the
    folds' sizes differ by one at most. Raises UserError where there are fewer groups than folds.
    """
    names = sorted((*cases.train, *cases.validation))
    groups_of = groups or cases.groups
    together = group_names(names, groups_of)
    if count < 2 or len(together) < count:
        unit = "cases" if groups_of is None else "groups of cases"
        raise UserError(
            f"--folds {count}: there are {len(together)} {unit} to train and validate on; expected "
            f"2 to {len(together)} folds"
        )
    order = np.random.default_rng(seed).permutation(len(together))
    folds: list[list[str]] = [[] for _ in range(count)]
    for index in order:  # to the smallest fold, the first of equals
        min(folds, key=len).extend(together[index])
    return [
        Cases(
            train=tuple(name for name in names if name not in fold),
            validation=tuple(sorted(fold)),
            test=cases.test,
            groups=cases.groups,
        )
        for fold in map(set, folds)
    ]
