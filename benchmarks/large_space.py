"""Samplers in the whole of `hybrid`, where no table can hold every network.

    python benchmarks/large_space.py benchmarks/trained/hippocampus.json --seeds 8

A surrogate, fitted to real trainings, stands for them (benchmarks/simulation/surrogate.py); the
samplers are the real ones, two networks are under way at a time, and every training has noise.
Prints the surrogate's error on trainings that it was not fitted to, and for limits of parameters
the Dice, without noise, of the network whose noisy Dice was best after so many trials: the mean
over the seeds, and which part of the distance from the default of version 0.1 to the best that was
ever found each sampler closes.
"""

from __future__ import annotations

import argparse
import random
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from rich.console import Console
from rich.table import Table
from simulation.surrogate import Surrogate

from nas.cli.main import one_line_errors
from nas.config.run_config import SearchConfig
from nas.study.samplers.factory import make_sampler
from nas.study.samplers.nsga import VariationOperator
from nas.study.samplers.warm_start import warm_starts
from nas.study.study_settings import StudySettings
from search_spaces.prior import draw_params
from search_spaces.space import Architecture, RandomTrial, to_params

OBJECTIVES = ("dice", "params")
PENDING = 2
BEFORE = "0.1: three presets, TPE"
SAMPLERS: Mapping[str, Mapping[str, Any]] = {
    BEFORE: {
        "sampler": "tpe",
        "startup": 8,
        "startup_sampler": "qmc",
        "warm_start": ["hybrid-xs", "hybrid-s", "hybrid-m"],
    },
    "the default": {},
    "without the ladder": {"warm_start": []},
    "the ladder, then TPE": {"sampler": "tpe"},
    "the ladder, then NSGA-II": {"sampler": "nsga2"},
    "the ladder, then the prior": {"sampler": "prior"},
    "random": {"sampler": "random", "warm_start": []},
}
Found = Sequence[tuple[float, float, float]]
"""Of every trial: parameters, Dice with noise and without."""


def main() -> None:
    options = _options()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    surrogate = Surrogate(options.trainings)
    count, error, rank = surrogate.errors()
    print(f"{count} trainings; left out: median error {error:.4f}, Spearman {rank:.2f}")
    known: dict[str, tuple[float, float]] = {}
    runs = {
        name: [
            _search(surrogate, search, options.trials, seed, options.noise, known)
            for seed in range(options.seeds)
        ]
        for name, search in SAMPLERS.items()
    }
    oracle = {limit: _climb(surrogate, limit, options.draws, known) for limit in options.limits}
    table = Table(title=f"Dice after {options.trials} trials, {options.seeds} seeds")
    table.add_column("")
    for limit in options.limits:
        table.add_column(f"{limit:,} parameters", justify="right")
        table.add_column("closed", justify="right")
    means = {name: [_mean(each, limit) for limit in options.limits] for name, each in runs.items()}
    for name, values in means.items():
        cells = []
        for limit, value, before in zip(options.limits, values, means[BEFORE], strict=True):
            distance = oracle[limit] - before
            cells += [f"{value:.4f}", f"{(value - before) / distance:.0%}" if distance else "-"]
        table.add_row(name, *cells)
    table.add_row("best found by all and by climbing", *_pairs(oracle.values()))
    Console(width=160).print(table)


def _search(
    surrogate: Surrogate,
    changes: Mapping[str, Any],
    trials: int,
    seed: int,
    noise: float,
    known: dict[str, tuple[float, float]],
) -> Found:
    """One search; `known`: parameters and Dice of networks by key, which it adds to."""
    within, config = surrogate.within, surrogate.config
    search = SearchConfig(trials=trials, early_stopping=None, **changes)
    settings = StudySettings(
        space=within.space,
        restrict=within.restrict,
        objectives=OBJECTIVES,
        budget=config.budget,
        epochs=config.train.epochs,
        search=search,
        prior=within.prior,
    )
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.sampler = make_sampler(settings, surrogate.costs, seed)
    for start in warm_starts(search, within, surrogate.costs):
        study.enqueue_trial(to_params(start.architecture))
    rng, tried, pending = random.Random(seed), set(), []
    found: list[tuple[float, float, float]] = []
    while len(found) < trials:
        trial = study.ask()
        network = within.space.sample(trial, within.restrict)
        if network.key in tried or config.budget.excess(surrogate.costs.work(network)):
            trial.set_constraint("refused", 1.0)
            study.tell(trial, [-np.inf, np.inf])
            continue
        tried.add(network.key)
        params, dice = _known(surrogate, network, known)
        found.append((params, dice + rng.gauss(0, noise), dice))
        pending.append((trial, found[-1]))
        if len(pending) == PENDING:
            trial, (params, noisy, _) = pending.pop(0)
            trial.set_constraint("refused", 0.0)
            study.tell(trial, [noisy, params])
    return found


def _climb(
    surrogate: Surrogate, limit: float, draws: int, known: dict[str, tuple[float, float]]
) -> float:
    """The best Dice within the limit: of all that is known, many draws, and mutants of the best."""
    within, rng = surrogate.within, random.Random(0)
    mutate = VariationOperator(within.space, within.restrict, 0).mutate
    params = [draw_params(within.space, within.restrict, rng, within.prior) for _ in range(draws)]
    best: tuple[float, Any] = (0.0, None)
    while True:
        networks = [within.space.sample(RandomTrial(0, p), within.restrict) for p in params]
        told = [(_known(surrogate, n, known), to_params(n)) for n in networks]
        top = max(((d, p) for (c, d), p in told if c <= limit), key=lambda t: t[0], default=best)
        if top[0] <= best[0]:
            return max(best[0], *(dice for cost, dice in known.values() if cost <= limit))
        best = top
        params = [mutate(best[1]) for _ in range(draws // 10)]


def _known(
    surrogate: Surrogate, network: Architecture, known: dict[str, tuple[float, float]]
) -> tuple[float, float]:
    if network.key not in known:
        params = surrogate.costs.work(network)["params"]
        known[network.key] = params, float(surrogate.dice([network])[0])
    return known[network.key]


def _mean(runs: Sequence[Found], limit: float) -> float:
    """Of the networks within the limit that seemed best, the Dice without noise."""
    picked = []
    for found in runs:
        within = [(noisy, dice) for params, noisy, dice in found if params <= limit]
        picked.append(max(within, default=(0.0, 0.0))[1])
    return float(np.mean(picked))


def _pairs(values: Any) -> list[str]:
    return [cell for value in values for cell in (f"{value:.4f}", "100%")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trainings", type=Path, help="of benchmarks/trained/")
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--limits", type=int, nargs="+", default=[20_000, 75_000])
    parser.add_argument("--noise", type=float, default=0.004, help="deviation of a training's Dice")
    parser.add_argument("--draws", type=int, default=1000, help="for the best that there is")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
