"""A folder of data, and nothing else: planned, searched, gone on with."""

import json

import pytest

from nas.cli.main import main
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config


@pytest.mark.slow
def test_a_folder_is_planned_searched_and_gone_on_with(
    phantom_folder, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    wanted = ["--dir", "run", "--set", "tracking.enabled=false", "--set", "train.epochs=1"]
    wanted += ["--set", "search.early_stopping=null", "--set", "search.budget=trials"]
    wanted += ["--set", "search.trials=2"]  # of the plan, whose budget is hours, these end nothing
    assert main(["search", str(phantom_folder), "--hours", "0.1", *wanted]) == 0
    told = capfd.readouterr()
    assert "Expected: " in told.err
    assert "Wrote run/plan.yaml" in told.err
    planned = read_config(RunConfig, tmp_path / "run" / "plan.yaml")
    assert planned.train.epochs > 1  # what --set changes is not in the plan
    front = json.loads((tmp_path / "run" / "front.json").read_text())
    assert len(front["members"]) >= 1
    wanted[-1] = "search.trials=3"
    assert main(["search", str(phantom_folder), "--resume", *wanted]) == 0
    told = capfd.readouterr()
    assert "Goes by run/plan.yaml" in told.err
    assert "Going on with 2 results" in told.out
