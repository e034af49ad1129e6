"""The benchmark of what a search foretells from few trainings: its model of Dice."""

import json
from importlib import import_module
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from trainers.errors import UserError

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("foretold")


def test_the_model_learns_from_what_was_trained(script):
    trained = script.load(FOLDER / "trained" / "hippocampus.json")

    def model(rows, dice):
        return script.model(trained, None, rows, dice)

    few, many = (script.correlation(trained, model, known, draws=12) for known in (8, 60))
    assert few < 0.5 < many


def test_scores_of_two_groups_are_set_right_by_trainings(script, tmp_path):
    """They rank each kind of convolutions as the truth does, and ghost ones too high."""
    trained = script.load(FOLDER / "table" / "hippocampus_log.json")
    truth = trained.dice.mean(axis=1)
    ghosts = [network.params["conv"] == "ghost" for network in trained.networks]
    scores = [dice + 0.1 * ghost for dice, ghost in zip(truth, ghosts, strict=True)]
    lines = [
        json.dumps({"key": network.key, "dice": score}) + "\n"
        for network, score in zip(trained.networks, scores, strict=True)
    ]
    (tmp_path / "scores.jsonl").write_text("".join(lines))
    column, scored = script.score_column(trained, tmp_path)
    assert spearmanr(scored, truth)[0] < 0.3

    def model(rows, dice):
        return script.model(trained, column, rows, dice)

    assert script.correlation(trained, model, known=12, draws=12) > 0.7


def test_networks_without_scores_are_told(script, tmp_path):
    trained = script.load(FOLDER / "table" / "hippocampus_log.json")
    with pytest.raises(UserError, match=r"has no scores of \w+, \w+, \w+; score them first"):
        script.score_column(trained, tmp_path)
