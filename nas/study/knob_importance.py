"""How much each knob of a space matters for each objective."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import create_trial

from nas.pareto.front import minimised
from nas.pareto.result import Result
from nas.study.result_knobs import network_of
from search_spaces.space import Option, SearchSpace

ENOUGH = 10  # networks, fewer of which tell nothing
TOP = 0.25  # the share of networks that counts as good
SHUFFLES = 20
SHARE = 0.95  # of the shuffles, which an importance has to exceed


@dataclass(frozen=True)
class Importance:
    """What the knobs mean for one objective, the most important first.

    `networks`: how many it was told from. `shares`: of every knob, in [0, 1], summing to 1.
    `beyond_chance`: the knobs whose importance exceeds that of nearly all searches with the same
    networks and their values shuffled.
    """

    objective: str
    networks: int
    shares: Mapping[str, float]
    beyond_chance: frozenset[str]


def importances(
    results: Sequence[Result], objectives: Sequence[str], space: SearchSpace | None
) -> list[Importance]:
    """The importance of every knob of a search, for every objective.

    Dice is known of complete networks, costs also of those that were stopped or rejected.
    """
    values = {
        objective: [minimised(result.value(objective), objective) for result in results]
        for objective in objectives
    }
    return knob_importances([network_of(result, space).knobs for result in results], values)


def knob_importances(
    knobs: Sequence[Mapping[str, Option]], values: Mapping[str, Sequence[float]]
) -> list[Importance]:
    """The importance of every knob that varies, for every objective with `ENOUGH` networks.

    `knobs[i]`: the choices of network i, by path. `values[objective][i]`: what it came to, to be
    minimised; not finite where it is not known.

    PED-ANOVA as Optuna has it (Watanabe 2023; conditional knobs as in arXiv 2601.20800): how far
    the choices of the best quarter differ from those of all networks, and of a knob that is not
    always asked for, among the networks that have it.
    """
    study = _study(knobs)
    names = sorted({name for trial in study.trials for name in trial.distributions})
    return [
        _importance(study, names, objective, np.asarray(found, dtype=float))
        for objective, found in values.items()
        if names and np.isfinite(found).sum() >= ENOUGH
    ]


def _importance(
    study: optuna.Study, names: list[str], objective: str, values: np.ndarray
) -> Importance:
    known = np.flatnonzero(np.isfinite(values))
    raw = _evaluate(study, names, values)
    random = np.random.default_rng(0)
    chance: list[Mapping[str, float]] = []
    for _ in range(SHUFFLES):
        shuffled = values.copy()
        shuffled[known] = random.permutation(values[known])
        chance.append(_evaluate(study, names, shuffled))
    whole = sum(raw.values()) or 1.0
    return Importance(
        objective=objective,
        networks=len(known),
        shares={name: raw[name] / whole for name in sorted(raw, key=lambda n: -raw[n])},
        beyond_chance=frozenset(
            name
            for name in names
            if raw[name] > float(np.quantile([each[name] for each in chance], SHARE))
        ),
    )


def _evaluate(study: optuna.Study, names: list[str], values: np.ndarray) -> dict[str, float]:
    evaluator = PedAnovaImportanceEvaluator(target_quantile=TOP)
    with warnings.catch_warnings():  # that targets are minimised, and that regimes are small
        warnings.simplefilter("ignore")
        return evaluator.evaluate(study, names, target=lambda trial: float(values[trial.number]))


class _SharedDistribution(CategoricalDistribution):
    """One object for all trials of a knob, equal to nothing but itself.

    Optuna copies distributions with every trial, then sorts trials by them, and compares two choice
    by choice: most of the time that importances of thousands of networks took.
    """

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __copy__(self) -> _SharedDistribution:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> _SharedDistribution:
        return self


def _study(networks: Sequence[Mapping[str, Option]]) -> optuna.Study:
    """A study in memory, of a trial for each network, with the knobs that vary.

    Values are left to targets.
    """
    options: dict[str, list[Option]] = {}
    for knobs in networks:
        for name, option in knobs.items():
            if option not in options.setdefault(name, []):
                options[name].append(option)
    kinds: dict[str, BaseDistribution] = {
        name: _SharedDistribution(tuple(sorted(known, key=str)))
        for name, known in options.items()
        if len(known) > 1
    }
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    optuna.logging.set_verbosity(verbosity)
    for knobs in networks:
        params = {name: option for name, option in knobs.items() if name in kinds}
        distributions = {name: kinds[name] for name in params}
        study.add_trial(create_trial(value=0.0, params=params, distributions=distributions))
    return study
