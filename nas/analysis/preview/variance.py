"""Which knob drives a cost: the share of its variance that each knob explains."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search_spaces.space import Option, path_pattern

Answers = Mapping[str, Option]  # of one architecture, by path: see `search_spaces.distributions`


@dataclass(frozen=True)
class Driver:
    """A knob's first-order share of the variance, in two parts.

    `values`: of its options, where the knob is asked for. `presence`: of whether, and at how many
    places, it is asked for at all, which other knobs decide. Where they are next to nothing, their
    estimates may fall below zero.
    """

    knob: str
    values: float
    presence: float

    @property
    def share(self) -> float:
        """Both parts."""
        return self.values + self.presence


def drivers(answers: Sequence[Answers], cost: Sequence[float]) -> list[Driver]:
    """Every knob's share of Var(cost), the largest share of its values first.

    The share is Sobol's first-order index, Var(E[cost | knob]) / Var(cost) (Sobol 1993; what fANOVA
    reports of single parameters, Hutter 2014), with "not asked" as one more level of a knob that
    others can silence. By the law of total variance it splits into the two parts of `Driver`. A
    knob that is asked at several places (of each token stage) has the sum over the places. Groups
    are finite: see `explained_squares` for the correction.

    Knobs with a single level everywhere are left out. Only `values` add up over knobs, to 1 at
    most: what is missing are interactions.
    """
    y = np.asarray(cost, dtype=float)
    total = float(((y - y.mean()) ** 2).sum()) if len(y) else 0.0
    paths = sorted({path for record in answers for path in record})
    found = []
    for knob in dict.fromkeys(map(path_pattern, paths)):
        places = [path for path in paths if path_pattern(path) == knob]
        counts = [sum(path in record for path in places) for record in answers]
        if len(set(counts)) == 1 and all(
            len({record.get(path) for record in answers}) == 1 for path in places
        ):
            continue
        squares = sum(_squares_of_values(answers, y, path) for path in places)
        presence = explained_squares(y, counts)
        shares = (part / total if total else 0.0 for part in (squares, presence))
        found.append(Driver(knob, *shares))
    return sorted(found, key=lambda driver: -driver.values)


def _squares_of_values(answers: Sequence[Answers], y: np.ndarray, path: str) -> float:
    asked = [i for i, record in enumerate(answers) if path in record]
    return explained_squares(y[asked], [answers[i][path] for i in asked])


def explained_squares(y: np.ndarray, levels: Sequence[Hashable]) -> float:
    """The sum of squares of y (N,) between its groups of equal level, less what chance gives it.

    k groups of pure noise have k - 1 times the mean square within groups between them; that much is
    taken off (Kelley's epsilon squared, 1935), so that the result may be below zero. It is 0 where
    every group has one member only.
    """
    numbers = {level: i for i, level in enumerate(dict.fromkeys(levels))}
    n, k = len(y), len(numbers)
    if k < 2 or n == k:
        return 0.0
    group = np.array([numbers[level] for level in levels])
    sizes = np.bincount(group)
    means = np.bincount(group, weights=y) / sizes
    between = float((sizes * (means - y.mean()) ** 2).sum())
    within = float(((y - means[group]) ** 2).sum())
    return between - (k - 1) * within / (n - k)
