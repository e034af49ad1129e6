"""The benchmark that compares brief recipes by how they rank networks."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from nas.config.data_space import space_for
from nas.config.yaml_file import write_config
from nas.search.components import training_costs
from search_spaces.hybrid import Hybrid
from tests.nas.small_run import config

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ranking.py"


@pytest.fixture
def script(monkeypatch):
    """The benchmark, which finds the modules beside it where it runs."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return import_module("ranking")


def drawn(script, networks, phantom):
    run, (cache, _) = config(), phantom
    within = space_for(run.space, None, run.train.patch)
    costs = training_costs(run, cache)
    return [p.key for p in script.draw_networks(within, costs, networks, "random", seed=0)]


def test_more_networks_are_those_of_before_and_others(script, phantom):
    few, more = drawn(script, 3, phantom), drawn(script, 6, phantom)
    assert more[:3] == few and len(set(more)) == 6


def test_the_table_ranks_the_brief_dice_by_the_long_one(script):
    points = [Hybrid(width=width) for width in (4, 6, 8, 12)]
    planned = [script.Training("", name, 1, 0) for name in ("long", "plain", "ema")]
    dice = {
        "long": (0.1, 0.2, 0.3, 0.4),
        "plain": (0.1, 0.3, 0.2, 0.5),
        "ema": (0.4, 0.3, 0.2, 0.1),
    }
    done = {
        training._replace(key=point.key): {"dice": found, "seconds": 2.0}
        for training in planned
        for point, found in zip(points, dice[training.recipe], strict=True)
    }
    shown = script.table(points, planned, done)
    cells = list(zip(*(column.cells for column in shown.columns), strict=True))
    # One of six pairs is turned: tau = (5 - 1) / 6, rho = 1 - 6 * 2 / (4 * 15)
    assert cells[0] == ("plain", "0.800", "0.667", "0.2750", "2")
    assert cells[1][:3] == ("ema", "-1.000", "-1.000")


@pytest.mark.slow
def test_every_recipe_is_trained_once_and_a_later_call_goes_on(tmp_path):
    train = {"patch": [24, 24, 24], "epochs": 1, "steps_per_epoch": 2, "batch": 1}
    space = {"restrict": {"width": [4, 6], "levels": [3], "anchors": [0], "token_stages": [0]}}
    write_config(config(train=train, space=space), tmp_path / "config.yaml")

    def run(networks):
        words = [tmp_path, "--to", tmp_path / "r.jsonl", "--long", 2, "--networks", networks]
        command = [sys.executable, str(SCRIPT), *map(str, words), "--jobs", "1"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(2).count(": Dice ") == 10
    rows = read(tmp_path / "r.jsonl")
    assert len(rows) == 2 * 5
    keys = {row["key"] for row in rows}
    assert len(keys) == 2
    for key in keys:
        own = {row["recipe"]: row for row in rows if row["key"] == key}
        assert {name: row["epochs"] for name, row in own.items()} == {
            **dict.fromkeys(("plain", "ema", "deep", "both"), 1),
            "long": 2,
        }
        assert own["long"]["seed"] != own["plain"]["seed"]
    with (tmp_path / "r.jsonl").open("a") as file:
        file.write('{"key": "0123')  # killed in the middle of a line
    said = run(3)
    assert said.count(": Dice ") == 5
    assert len(read(tmp_path / "r.jsonl")) == 3 * 5
    shown = [line.split()[1] for line in said.splitlines() if line.startswith("│")]
    assert shown == ["plain", "ema", "deep", "both"]


def read(file):
    """The lines that are whole."""
    return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]
