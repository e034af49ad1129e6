"""From repeated trainings to the chance of being on the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.analysis.confirm.candidates_near_front import no_dearer_results
from nas.pareto.objectives import COSTS
from nas.pareto.result import Result

DRAWS = 20_000


@dataclass(frozen=True)
class Confirmed:
    """A candidate that was trained again.

    `dice`: of every repeat, 0 where it failed. `chance`: of being on the front, 0 to 1.
    """

    result: Result
    on_front: bool
    dice: tuple[float, ...]
    failed: int
    chance: float

    @property
    def mean(self) -> float:
        """Mean Dice of the repeats."""
        return float(np.mean(self.dice))

    @property
    def deviation(self) -> float:
        """Standard deviation of the repeats' Dice."""
        return float(np.std(self.dice, ddof=1))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "key": self.result.key,
            "on_front": self.on_front,
            "dice_of_search": self.result.dice,
            "dice_of_repeats": list(self.dice),
            "mean": self.mean,
            "deviation": self.deviation,
            "failed": self.failed,
            "chance": self.chance,
            **{name: self.result.value(name) for name in COSTS},
        }


def front_chances(
    repeats: Mapping[str, Sequence[float]],
    results: Sequence[Result],
    objectives: Sequence[str],
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, float]:
    """The chance of every repeated candidate, by key, that none that costs no more has more Dice.

    repeats: Dice by key, two or more each. A candidate's true Dice (the mean over all seeds) is
    drawn from its posterior under a normal model with one variance for all candidates and the prior
    1 / variance: variance ~ df s² / chi²(df), Dice ~ N(mean, variance / n) (Gelman et al.,
    Bayesian Data Analysis, section 3.2), s² pooled over the repeats. Of a repeated candidate the
    search's own Dice does not count, for it was chosen by it; the other complete `results` take
    part with theirs, n = 1. Costs are taken as exact. Raises ValueError for fewer than two repeats.
    """
    if any(len(dice) < 2 for dice in repeats.values()):
        raise ValueError("a deviation needs two repeats of every candidate")
    generator = np.random.default_rng(seed)
    complete = [r for r in results if r.state == "complete" and r.dice is not None]
    observed = [np.asarray(repeats.get(r.key, [r.dice]), float) for r in complete]
    freedom = sum(len(dice) - 1 for dice in repeats.values())
    squares = sum(
        float(((d := np.asarray(dice)) - d.mean()) @ (d - d.mean())) for dice in repeats.values()
    )
    deviations = np.sqrt(squares / generator.chisquare(freedom, draws))
    rows = [i for i, result in enumerate(complete) if result.key in repeats]
    no_dearer = no_dearer_results(complete, objectives)[rows]
    own = np.empty((len(rows), draws))
    best = np.full((len(rows), draws), -np.inf)
    for place, dice in enumerate(observed):
        spread = deviations / np.sqrt(len(dice))
        drawn = dice.mean() + spread * generator.standard_normal(draws)
        best[no_dearer[:, place]] = np.maximum(best[no_dearer[:, place]], drawn)
        if place in rows:
            own[rows.index(place)] = drawn
    sure = (own >= best).mean(axis=1).tolist()
    return {complete[row].key: chance for row, chance in zip(rows, sure, strict=True)}
