"""What is believed of networks that were not trained, and how much they would improve the front."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats.qmc import Sobol
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import BayesianRidge

from nas.pareto.budget import Budget
from nas.pareto.reference import REFERENCE
from nas.study.samplers.counted_network import CountedNetwork, log_costs, share_kept
from nas.study.samplers.ehvi.dice_model import DiceModel
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.samplers.ehvi.guessed_costs import COUNTED
from nas.study.samplers.ehvi.guessed_scores import ScoreColumn
from nas.study.samplers.ehvi.improvement import best_within, improvement
from nas.study.samplers.ehvi.inputs import Inputs
from nas.study.samplers.ehvi.observations import Observations

LIMITS = 512  # quasi-random cost limits that an improvement is averaged over
BEYOND = 1.1  # times the range of the costs, so that the largest network counts
EXPLORED = 0.3  # of the deviation that the model admits: most options that were not tried do little
MARGIN = 0.05  # of Dice below the reference, where it is bad enough to know
FITTED = 2000  # trained networks, the last ones, that models are fitted to
ENOUGH = 4  # networks with a latency, before it is modelled


class Landscape:
    """Models of Dice and of costs that are measured only, fitted to what was observed.

    Linear in knobs and log costs: with few networks they fall back to what costs alone tell, and
    with very many they heed the last `FITTED`. `pending` networks count with the Dice that is
    expected of them. `scores`: what promises a good Dice, where networks were scored.
    """

    def __init__(
        self,
        features: KnobFeatures,
        seen: Observations,
        pending: Sequence[CountedNetwork],
        objectives: Sequence[str],
        budget: Budget,
        seed: int,
        scores: ScoreColumn | None = None,
    ) -> None:
        self._names = [name for name in objectives if name != "dice"]
        trained = [observation.network for observation in seen.trained]
        recent = trained[-FITTED:]
        dice = np.array(seen.final_dice())
        self._kept = share_kept(trained)
        self._reference = REFERENCE * dice.max()
        self._inputs = Inputs(features, recent, scores)
        x = self._inputs.of(recent)
        known = np.maximum(dice, self._reference - MARGIN)[-FITTED:]
        self._dice = DiceModel(x, known, self._inputs.promise(recent))
        self._measured = {
            name: model for name in self._names if (model := _fit_measured(name, recent, x))
        }
        ends = self._log_costs([*trained, *pending])
        low, high = ends.min(axis=0), ends.max(axis=0)
        for column, name in enumerate(self._names):
            if limit := budget.limits().get(name):
                high[column] = math.log10(limit)
        points = Sobol(len(self._names), rng=seed).random(LIMITS)
        self._limits = low + BEYOND * points * (high - low)
        found = dice
        if pending:
            found = np.concatenate([dice, self._expected(pending)[0]])
        # What was stopped is no member of the front, but what is under way may become one.
        counts = np.array([o.dice is not None for o in seen.trained] + [True] * len(pending))
        self._best = best_within(self._limits, ends[counts], found[counts], self._reference)

    def worth(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        """(n,) the expected hypervolume improvement of each."""
        mean, std = self._expected(networks)
        std = EXPLORED * np.maximum(std, 1e-4)
        return improvement(self._limits, self._best, self._log_costs(networks), mean, std)

    def _expected(self, networks: Sequence[CountedNetwork]) -> tuple[np.ndarray, np.ndarray]:
        """(n,) Dice, and its deviation."""
        return self._dice.predict(self._inputs.of(networks), self._inputs.promise(networks))

    def _log_costs(self, networks: Sequence[CountedNetwork]) -> np.ndarray:
        """(n, k) of every cost among the objectives; what is not known is predicted, and of queries
        as many are taken to be kept as others keep."""
        logs = log_costs([network.at(self._kept) for network in networks], self._names)
        for column, name in enumerate(self._names):
            rows = [i for i, network in enumerate(networks) if name not in network.costs]
            if rows and (model := self._measured.get(name)):
                logs[rows, column] = model.predict(self._inputs.of([networks[i] for i in rows]))
        return logs


def _fit_measured(
    name: str, networks: Sequence[CountedNetwork], x: np.ndarray
) -> BayesianRidge | DummyRegressor | None:
    """The model of a cost's logarithm, or its mean while few networks have told theirs."""
    rows = [i for i, network in enumerate(networks) if network.costs.get(name)]
    if not rows or name in COUNTED:
        return None
    model = BayesianRidge() if len(rows) >= ENOUGH else DummyRegressor(strategy="mean")
    return model.fit(x[rows], np.log10([networks[i].costs[name] for i in rows]))
