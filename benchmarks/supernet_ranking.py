"""Do weights that 192 networks share rank them as trainings of their own do?

    python benchmarks/supernet_ranking.py --data Task04_Hippocampus --to runs/shared
    python benchmarks/supernet_ranking.py --data Task04_Hippocampus --to runs/labels --teacher 0

The real Dice of every network, trained twice, is in a table of benchmarks/table/ (`--table`,
hippocampus.json by default); the sub-space, the recipe and the split are those of the YAML file of
that name beside it. The supernet of the sub-space is trained for as many passes as `--trainings` of
these trainings have, about 40 s each on one core; then every network is validated by the shared
weights. Parts of the recipe are options: to see what one does, change one and train for as long.

Printed: Spearman's and Kendall's correlation of the scores with the mean real Dice of both seeds,
and with each; beside them those of the logarithm of the MACs, and of one real training with the
other. Then within octaves of MACs, and within the options of every knob, with the mean of score and
truth there: a knob whose options the two order differently is ranked wrong.

`--to` is a folder. Its training goes on where it was stopped, and what is scored is not scored
again; a folder of other options is refused.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from json_lines import append, read
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau, spearmanr

from nas.cli.main import one_line_errors
from nas.config.data_space import space_for
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from search_spaces.space import Architecture, to_params
from search_spaces.supernet import Draws, Supernet
from trainers.atomic import replace_files
from trainers.config import LossConfig
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.errors import UserError
from trainers.precision import autocast
from trainers.supernet import SupernetTrainer
from trainers.supernet_recipe import SupernetRecipe
from trainers.validation import score_network

TABLE = Path(__file__).parent / "table" / "hippocampus.json"
Row = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and score what is missing, and print the tables."""
    options = _options(arguments)
    torch.set_num_threads(1)
    recipe_file = options.table.with_suffix(".yaml")
    config = read_config(RunConfig, recipe_file, [f"data.path={options.data}"])
    volumes, cases = prepare_data(config.data, options.cache or options.to / "data")
    outputs = volumes.targets.outputs
    within = space_for(config.space, volumes.prepared_voxel_size, config.train.patch, outputs)
    rows = json.loads(options.table.read_text())["networks"]
    points = [within.space.from_json(row["architecture"]) for row in rows]
    _claim(options)
    recipe = SupernetRecipe(
        random=options.random,
        first=options.first,
        teacher=options.teacher,
        temperature=options.temperature,
        surgery=options.surgery,
    )
    passes = options.trainings * config.train.epochs * config.train.steps_per_epoch
    epochs = epochs_for(passes, recipe, config.train.steps_per_epoch)
    changes = {"epochs": epochs, "validate_every": max(1, epochs // 8), "ema": options.ema}
    if options.dice_form:
        changes["loss"] = LossConfig(dice_form=options.dice_form)
    if options.learning_rate:
        changes["learning_rate"] = options.learning_rate
    train = config.train.model_copy(update=changes)

    pool = [(float(row["macs"]), point) for row, point in zip(rows, points, strict=True)]
    supernet = Supernet(within.space, within.restrict, volumes.channels, outputs, seed=options.seed)
    trainer = SupernetTrainer(
        supernet,
        Draws(pool, recipe.random, options.bins),
        volumes,
        cases,
        train,
        device=torch.device("cpu"),
        seed=options.seed,
        checkpoint=options.to / "supernet.pt",
        recipe=recipe,
    )
    while not trainer.done:
        report = trainer.run_epoch()
        note = {"epoch": report.epoch, "loss": report.loss, "dice": report.dice}
        note |= {"seconds": report.seconds, **report.measured}
        append(options.to / "epochs.jsonl", note)
        if report.dice is not None:
            print(f"epoch {report.epoch} of {epochs}: {note}", flush=True)
    score = partial(_score, trainer, volumes, cases)
    scores = score_all(points, score, options.to / "scores.jsonl")
    trained = sum(row["seconds"] for row in read(options.to / "epochs.jsonl"))
    show(rows, points, scores, trained)


def epochs_for(passes: float, recipe: SupernetRecipe, steps: int) -> int:
    """Epochs of `steps` steps that have so many passes of one network."""
    of_a_step = recipe.first + (1 - recipe.first) * recipe.networks  # on the mean
    return max(1, round(passes / (steps * of_a_step)))


def score_all(
    points: Sequence[Architecture], score: Callable[[Architecture], float], file: Path
) -> dict[str, Row]:
    """Every network's line of `file`: key, Dice, seconds."""
    done = {row["key"]: row for row in read(file)}
    for point in points:
        if point.key not in done:
            started = perf_counter()
            dice = score(point)
            done[point.key] = {"key": point.key, "dice": dice}
            done[point.key] |= {"seconds": perf_counter() - started}
            append(file, done[point.key])
    return done


def show(
    rows: Sequence[Row], points: Sequence[Architecture], scores: Mapping[str, Row], trained: float
) -> None:
    """The tables."""
    last = np.array([[dice[-1] for dice in row["dice"]] for row in rows])  # (networks, seeds)
    truth = last.mean(1)
    macs = np.log2([row["macs"] for row in rows])
    found = np.array([scores[row["key"]]["dice"] for row in rows])
    seconds = statistics.mean(row["seconds"] for row in scores.values())
    console = Console()
    console.print(
        f"{len(rows)} networks; trained in {trained:.0f} s; scored in {seconds:.2f} s each, "
        f"{3600 / seconds:.0f} an hour; mean score {found.mean():.4f}, truth {truth.mean():.4f}"
    )
    overall = _table("ranks", "with", "n")
    overall.add_row("score", "both seeds", *_ranked(found, truth))
    for seed in range(last.shape[1]):
        overall.add_row("score", f"seed {seed}", *_ranked(found, last[:, seed]))
    overall.add_row("log MACs", "both seeds", *_ranked(macs, truth))
    overall.add_row("one training", "the other seed", *_ranked(last[:, 0], last[:, 1]))
    console.print(overall)
    octaves = _table("octave of MACs", "log MACs alone", "n")
    of = np.floor(macs - macs.min()).astype(int)
    for octave in sorted(set(of)):
        here = of == octave
        name = f"{2 ** (macs.min() + octave) / 1e6:.0f} M and more"
        alone = _ranked(macs[here], truth[here])[1]
        octaves.add_row(name, alone, *_ranked(found[here], truth[here]))
    console.print(octaves)
    knobs = Table("knob", "option", "n", "Spearman within", "mean score", "mean truth")
    params = [to_params(point) for point in points]
    for knob in dict.fromkeys(knob for chosen in params for knob in chosen):
        values = [p.get(knob) for p in params]
        if len(set(values)) == 1:
            continue
        for option in sorted(set(values), key=str):
            here = np.array([value == option for value in values])
            within = _ranked(found[here], truth[here])
            means = f"{found[here].mean():.4f}", f"{truth[here].mean():.4f}"
            knobs.add_row(knob, str(option), within[0], within[1], *means)
    console.print(knobs)


def _table(*first: str) -> Table:
    table = Table(*first)
    for name in ("Spearman", "Kendall"):
        table.add_column(name, justify="right")
    return table


def _ranked(a: np.ndarray, b: np.ndarray) -> tuple[str, str, str]:
    """How many, and the two correlations."""
    if len(a) < 3 or len(set(a)) == 1:
        return str(len(a)), "-", "-"
    return str(len(a)), *(f"{float(rank(a, b)[0]):.3f}" for rank in (spearmanr, kendalltau))


def _score(
    trainer: SupernetTrainer[Architecture], volumes: VolumeCache, cases: Cases, point: Architecture
) -> float:
    compute = partial(autocast, trainer.config, trainer.device)
    network = trainer.deployed.cut(point)
    return score_network(network, volumes, cases.validation, trainer.config, compute)[0]


def _claim(options: argparse.Namespace) -> None:
    """Write the options into the folder; refuse one that holds others."""
    left_out = ("data", "to", "cache")
    settings = {k: v for k, v in vars(options).items() if k not in left_out}
    settings["table"] = options.table.name
    file = options.to / "options.json"
    if file.exists() and json.loads(file.read_text()) != settings:
        raise UserError(f"{file} has other options; take another folder with --to")
    options.to.mkdir(parents=True, exist_ok=True)
    replace_files({file: json.dumps(settings).encode()})


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the data set's folder")
    parser.add_argument("--to", type=Path, required=True, help="folder of this supernet")
    parser.add_argument("--cache", type=Path, help="folder of prepared data, to share")
    parser.add_argument("--table", type=Path, default=TABLE, help="JSON of real trainings")
    parser.add_argument("--trainings", type=float, default=40, help="as many passes as these have")
    parser.add_argument("--random", type=int, default=2, help="networks drawn in a step")
    parser.add_argument("--bins", type=int, default=8, help="of log MACs; 1 draws all alike")
    parser.add_argument("--first", type=float, default=0.0, help="share of the largest alone")
    parser.add_argument("--teacher", type=float, default=0.5, help="share of the largest's logits")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--surgery", action="store_true", help="of opposed gradients")
    parser.add_argument("--ema", type=float, default=0.0, help="decay of averaged weights")
    parser.add_argument("--learning-rate", type=float, help="default: the table's")
    parser.add_argument("--dice-form", choices=("linear", "log"), help="default: the table's")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
