"""Dice of every network of a large space, guessed from real trainings of some of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold

from nas.config.data_space import DataSpace, space_for
from nas.config.run_config import RunConfig
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.training_cost import TrainingCosts
from search_spaces.space import Architecture, to_params

from .normal_scores import NormalScores

FOLDS = 10


class Surrogate:
    """Extremely randomised trees on knobs and log costs, of the normal scores of Dice.

    Trees and not a linear model, which the search has itself. `path`: a file of
    benchmarks/trained/. `known`: the networks that were trained, `final`: (n,) their Dice.
    """

    def __init__(self, path: Path) -> None:
        values = json.loads(path.read_text())
        unread = {"name": "surrogate", "data": {"source": "phantom"}}
        self.config = RunConfig.model_validate({**unread, **values["config"]})
        config, classes = self.config, values["classes"]
        self.within: DataSpace = space_for(
            config.space, values["spacing"], config.train.patch, classes
        )
        self.costs = TrainingCosts(
            config.train, config.resources, config.budget, values["channels"], classes
        )
        self.features = KnobFeatures(self.within.space, self.within.restrict, self.within.prior)
        rows = values["trainings"]
        self.known = [self.within.space.from_json(row["architecture"]) for row in rows]
        self.final = _on_one_level(rows, [network.key for network in self.known])
        self._scores = NormalScores(self.final)
        self._x = self._inputs(self.known)
        self._trees = _trees().fit(self._x, self._scores.of_observed)

    def dice(self, networks: Sequence[Architecture]) -> np.ndarray:
        """(n,) what is guessed of each."""
        return self._scores.dice(self._trees.predict(self._inputs(networks)))

    def errors(self) -> tuple[int, float, float]:
        """How many trainings there are; of those left out of a fit, in ten folds: the median error
        of Dice, and Spearman's rank correlation."""
        guessed = np.zeros(len(self.final))
        for train, test in KFold(FOLDS, shuffle=True, random_state=0).split(self._x):
            scores = NormalScores(self.final[train])
            trees = _trees().fit(self._x[train], scores.of_observed)
            guessed[test] = scores.dice(trees.predict(self._x[test]))
        error = float(np.median(abs(guessed - self.final)))
        return len(guessed), error, float(spearmanr(guessed, self.final)[0])

    def _inputs(self, networks: Sequence[Architecture]) -> np.ndarray:
        params = [to_params(network) for network in networks]
        costs = [list(self.costs.work(network).values()) for network in networks]
        departures = self.features.departures(params)[:, None]
        return np.hstack([self.features.matrix(params), departures, np.log10(costs)])


def _trees() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.5, random_state=0)


def _on_one_level(rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> np.ndarray:
    """(n,) the Dice after a whole training, as if all had the split of the first search.

    Of what was stopped, its last plus what the complete ones of its search gained from there on, in
    the median. A search is moved by what the networks differ, in the median, that an earlier one
    has trained as well; without such networks it stays as it is.
    """
    final = np.zeros(len(rows))
    seen: dict[str, float] = {}  # by key
    for search in sorted({row["search"] for row in rows}):
        own = [place for place, row in enumerate(rows) if row["search"] == search]
        whole = [rows[place]["dice"] for place in own if rows[place]["complete"]]
        for place in own:
            curve, length = rows[place]["dice"], len(rows[place]["dice"])
            rest = median(each[-1] - each[length - 1] for each in whole)
            final[place] = curve[-1] if rows[place]["complete"] else curve[-1] + rest
        shared = [p for p in own if rows[p]["complete"] and keys[p] in seen]
        if shared:
            final[own] -= median(final[p] - seen[keys[p]] for p in shared)
        seen |= {keys[p]: final[p] for p in own if rows[p]["complete"] and keys[p] not in seen}
    return final
