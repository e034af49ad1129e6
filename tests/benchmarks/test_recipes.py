"""The benchmark that sets recipes beside each other in a search's short trainings."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from nas.config.yaml_file import write_config
from tests.nas.small_run import config
from trainers.errors import UserError

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """The benchmark, which finds the modules beside it where it runs."""
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("recipes")


def test_the_table_has_the_mean_of_the_seeds_and_of_the_networks(script):
    dice = {("a", "", 0): 0.5, ("a", "", 1): 0.7, ("b", "", 0): 0.2, ("b", "", 1): 0.2}
    dice |= {(key, "batch=1", seed): 0.9 for key, _, seed in dice}
    rows = {one: {"dice": value, "params": 1000} for one, value in dice.items()}
    found = {script.Training("runs/x", *one): row for one, row in rows.items()}
    found[script.Training("runs/y", "a", "", 0)] = {"dice": 0.0, "params": 1}
    shown = script.table("runs/x", found)
    assert [column.header for column in shown.columns][2:] == ["as planned", "batch=1"]
    assert list(shown.columns[2].cells) == ["0.6000", "0.2000", "0.4000"]
    assert list(shown.columns[3].cells) == ["0.9000"] * 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--networks", "stairs:2"], "'stairs:2'; expected ladder:N or random:N"),
        (["--networks", "ladder"], "'ladder'; expected ladder:N or random:N"),
        (["--recipes", "", "loss.dice_form=lag"], "'lag': Input should be 'linear' or 'log'"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_trained(
    script, tmp_path, words, told, capsys
):
    write_config(config(), tmp_path / "config.yaml")
    with pytest.raises((SystemExit, UserError)) as refused:
        script.main([str(tmp_path), "--to", str(tmp_path / "r"), "--recipes", "", *words])
    assert told in f"{refused.value}{capsys.readouterr().err}"
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_every_recipe_trains_every_network_once(script, tmp_path, capsys):
    train = {"patch": [24, 24, 24], "epochs": 1, "steps_per_epoch": 2, "batch": 1}
    space = {"restrict": {"width": [4, 6], "levels": [3], "anchors": [0], "token_stages": [0]}}
    write_config(config(train=train, space=space), tmp_path / "config.yaml")
    words = [str(tmp_path), "--to", str(tmp_path / "r.jsonl"), "--jobs", "1", "--networks"]
    recipes = ["--recipes", "", "loss.dice_form=log learning_rate=0.5"]
    script.main([*words, "random:1", *recipes])
    script.main([*words, "random:1", "ladder:1", *recipes])
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert len({(row["key"], row["recipe"]) for row in rows}) == len(rows) == 4
    by_recipe = {row["recipe"]: row["dice"] for row in rows[:2]}
    assert len(set(by_recipe.values())) == 2  # each of them was trained by its own
    assert "as planned" in capsys.readouterr().out
