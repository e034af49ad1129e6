"""How well does a search foretell Dice from few trainings? Its own model, on real trainings.

    python benchmarks/foretold.py benchmarks/trained/openkbp.json
    python benchmarks/foretold.py benchmarks/table/hippocampus_log.json --scores runs/shared

The model sees so many trainings, drawn at random, of one seed each, and ranks all others: printed
is Spearman's correlation with their Dice (the mean of their seeds), the mean over many draws.
Beside it log MACs alone, and what the model would rank that expects costs to tell as it expects it
of scores, which no search uses. `--scores`: folders of benchmarks/supernet_ranking.py, whose scores
by shared weights the model then sees. Takes a minute.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from json_lines import read
from rich.console import Console
from rich.table import Table as Printed
from scipy.stats import spearmanr
from simulation.surrogate import Surrogate
from simulation.table import load_table

from nas.cli.main import one_line_errors
from nas.config.data_space import DataSpace
from nas.pareto.reference import REFERENCE
from nas.study.samplers.counted_network import CountedNetwork, log_costs
from nas.study.samplers.ehvi.dice_model import DiceModel
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.samplers.ehvi.guessed_costs import COUNTED
from nas.study.samplers.ehvi.guessed_scores import ScoreColumn
from nas.study.samplers.ehvi.inputs import Inputs
from nas.study.samplers.ehvi.landscape import MARGIN
from nas.study.scores import Score, Scores
from search_spaces.space import Architecture, to_params
from trainers.errors import UserError

Guess = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Trained:
    """Networks of a space and their Dice, (n, seeds)."""

    within: DataSpace
    networks: list[CountedNetwork]
    dice: np.ndarray

    @cached_property
    def features(self) -> KnobFeatures:
        """As the search has them."""
        return KnobFeatures(self.within.space, self.within.restrict, self.within.prior)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trainings", type=Path, help="of benchmarks/table/ or benchmarks/trained/")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="folders of scores")
    parser.add_argument("--known", type=int, nargs="+", default=[4, 6, 8, 12, 20, 40])
    parser.add_argument("--draws", type=int, default=100)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # that a rank of constants is none
    trained = load(options.trainings)
    guesses: dict[str, Guess] = {
        "log MACs alone": lambda rows, _: np.array([n.costs["macs"] for n in trained.networks]),
        "the model": lambda rows, dice: model(trained, None, rows, dice),
        "expecting of costs": lambda rows, dice: expecting_of_costs(trained, rows, dice),
    }
    for folder in options.scores:
        column, scored = score_column(trained, folder)
        guesses[f"score alone, {folder.name}"] = lambda rows, _, s=scored: s  # type: ignore[misc]
        guesses[f"the model with it, {folder.name}"] = (
            lambda rows, dice, c=column: model(trained, c, rows, dice)  # type: ignore[misc]
        )
    known = [count for count in options.known if count <= len(trained.networks) * 0.6]
    table = Printed("Spearman after so many trainings", *map(str, known))
    for name, guess in guesses.items():
        table.add_row(
            name, *(f"{correlation(trained, guess, n, options.draws):.3f}" for n in known)
        )
    Console().print(f"{options.trainings.name}: {len(trained.networks)} networks", table)


def correlation(trained: Trained, guess: Guess, known: int, draws: int) -> float:
    """Spearman's, of what was not among the `known`: the mean over so many draws."""
    count, seeds = trained.dice.shape
    found = []
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        order = rng.permutation(count)
        rows, others = order[:known], order[known:]
        dice = trained.dice[rows, rng.integers(seeds)]
        guessed = guess(rows, np.maximum(dice, REFERENCE * dice.max() - MARGIN))
        found.append(spearmanr(guessed[others], trained.dice.mean(axis=1)[others])[0])
    return float(np.nanmean(found))


def model(
    trained: Trained, scores: ScoreColumn | None, rows: np.ndarray, dice: np.ndarray
) -> np.ndarray:
    """(n,) of all networks, from the Dice of these rows."""
    inputs = Inputs(trained.features, [trained.networks[row] for row in rows], scores)
    x, promise = inputs.of(trained.networks), inputs.promise(trained.networks)
    seen = None if promise is None else promise[rows]
    return DiceModel(x[rows], dice, seen).predict(x, promise)[0]


def expecting_of_costs(trained: Trained, rows: np.ndarray, dice: np.ndarray) -> np.ndarray:
    """The same, of a model to which costs promise a good Dice."""
    x = Inputs(trained.features, [trained.networks[row] for row in rows]).of(trained.networks)
    logs = log_costs(trained.networks, COUNTED)
    promise = ((logs - logs[rows].mean(axis=0)) / (logs[rows].std(axis=0) + 1e-9)).mean(axis=1)
    return DiceModel(x[rows], dice, promise[rows]).predict(x, promise)[0]


def load(path: Path) -> Trained:
    """Of a table, or of trainings of searches."""
    if path.parent.name == "trained":
        surrogate = Surrogate(path)
        costs = [surrogate.costs.work(network) for network in surrogate.known]
        networks = [counted(n, c) for n, c in zip(surrogate.known, costs, strict=True)]
        return Trained(surrogate.within, networks, surrogate.final[:, None])
    table = load_table(path)
    rows = list(table.networks.values())
    points = [table.within.space.from_json(row.architecture) for row in rows]
    dice = np.array([[curve[-1] for curve in row.curves] for row in rows])
    networks = [counted(p, dict(row.costs)) for p, row in zip(points, rows, strict=True)]
    return Trained(table.within, networks, dice)


def counted(network: Architecture, costs: dict[str, float]) -> CountedNetwork:
    """As the sampler knows it."""
    return CountedNetwork(to_params(network), network.key, costs)


def score_column(trained: Trained, folder: Path) -> tuple[ScoreColumn, np.ndarray]:
    """What the model sees of the scores in there; and (n,) the scores."""
    dice = {row["key"]: row["dice"] for row in read(folder / "scores.jsonl")}
    if lacking := [network.key for network in trained.networks if network.key not in dice]:
        raise UserError(f"{folder} has no scores of {', '.join(lacking[:3])}; score them first")
    with tempfile.TemporaryDirectory() as scratch:
        scores = Scores(Path(scratch))
        scores.add(
            Score(key=n.key, params=n.params, costs=n.costs, dice=dice[n.key], epoch=0, cases=0)
            for n in trained.networks
        )
    return ScoreColumn(scores, trained.features), np.array([dice[n.key] for n in trained.networks])


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
