"""Evaluators: the contract, for ours and an installed one, and how they are found."""

import json
import sys
from pathlib import Path

import pytest

from nas.cli.main import main
from nas.engine.make_evaluator import make_evaluator
from nas.engine.testing import EvaluatorContract
from nas.engine.train_from_scratch import TrainFromScratch
from nas.search.components import evaluator
from tests.installed_package import files_of_page, install, said_by_tests
from tests.nas.small_run import plain_run
from trainers.config import TrainConfig
from trainers.errors import UserError

ROOT = Path(__file__).parents[3]
PAGE = files_of_page("own-evaluator.md")
TRAIN = TrainConfig(patch=(16, 16, 16))


class TestTrainFromScratch(EvaluatorContract):
    def make(self, train, seed, device):
        return TrainFromScratch(train, seed, device)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package of the page, as pip installs it."""
    install(PAGE, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("fewer_cases", None)


def test_the_evaluator_of_the_page_keeps_the_contract(installed):
    assert "6 passed" in said_by_tests(installed, "test_fewer_cases.py")


def test_it_is_found_by_its_name_and_made_with_its_arguments(installed):
    made = make_evaluator({"name": "fewer-cases", "share": 0.25}, TRAIN, 3, "cpu")
    assert type(made).__name__ == "FewerCases"
    assert (made.share, made.seed, made.train) == (0.25, 3, TRAIN)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("fewer-case", "search.evaluator: fewer-case is unknown; there are training, fewer-cases"),
        ({"share": 0.5}, "search.evaluator: None is unknown"),
        ({"name": "fewer-cases", "share": 2}, "fewer-cases cannot be made: share = 2; expected"),
        (
            {"name": "fewer-cases", "share": True},
            "evaluator.share = true: expected a number",
        ),
        ({"name": "training", "shar": 2}, "training cannot be made: .*'shar'"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(installed, named, told):
    with pytest.raises(UserError, match=told):
        make_evaluator(named, TRAIN, 0, "cpu")


@pytest.mark.parametrize("named", ["training", {"name": "training"}])
def test_training_halves_batches_as_the_search_says(named):
    run = plain_run(search={"evaluator": named, "on_memory": "halve"})
    assert evaluator(run).on_memory == "halve"


def test_an_entry_point_that_does_not_import_is_refused(tmp_path, monkeypatch):
    project = PAGE["pyproject.toml"].replace("fewer_cases:FewerCases", "nowhere:Nothing")
    install({"pyproject.toml": project}, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="fewer-cases = nowhere:Nothing: No module named 'nowhere'"):
        make_evaluator("fewer-cases", TRAIN, 0, "cpu")


@pytest.mark.slow
def test_a_search_trains_with_it(installed, monkeypatch):
    monkeypatch.chdir(installed)
    monkeypatch.setenv("PYTHONPATH", f"{installed}:{ROOT}")  # of the workers
    assert main(["search", "my-task.yaml"]) == 0
    (result,) = json.loads((installed / "runs" / "my-task" / "front.json").read_text())["members"]
    assert 0 <= result["dice"] <= 1
