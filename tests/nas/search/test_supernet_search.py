"""Whole searches whose candidates share weights, on phantoms, with real workers."""

import io
import json
import subprocess
import sys
import time

import pytest
import torch
import yaml
from rich.console import Console

from nas.cli.main import main
from nas.config.run_config import RunConfig
from nas.export.export_folder import INHERITED_WEIGHTS, TRIAL_WEIGHTS
from nas.export.shared_weights import SharedWeights
from nas.search.notebook import open_search
from nas.search.run import run_search
from nas.search.run_supernet import epochs_before
from nas.search.supernet_record import SupernetRecord
from nas.study.scores import SCORES, Scores
from tests.nas.tracking.test_sync import local
from trainers.checkpoint import read_checkpoint
from trainers.data.prepare import prepare_data
from trainers.errors import UserError
from trainers.precision import autocast
from trainers.validation import score_network

RESTRICT = {
    "width": [4, 6],
    "levels": [3],
    "token_stages": [0],
    "conv": ["standard"],
    "skip": ["add", "concat"],
    "decoder": ["residual"],
    "norm": ["instance"],
    "prior": [False],
    "anchors": [0],
}
EPOCHS = 6  # of a whole training; 2 of a candidate
CONFIG = {
    "name": "shared",
    "data": {"source": "phantom", "cases": 6, "shape": [24, 24, 24], "organs": 3},
    "space": {"restrict": RESTRICT},
    "train": {"patch": [16, 16, 16], "epochs": EPOCHS, "steps_per_epoch": 4, "batch": 1},
    "objectives": ["dice", "params"],
    "search": {
        "strategy": "supernet",
        "trials": 2,
        "early_stopping": None,
        "warm_start": ["hybrid-xs"],
        "baselines": ["unet-s"],
        "confirm": 0,
        "supernet": {"epochs": 4, "candidates": 20, "cases": 2},
    },
}
SEGNAS = [sys.executable, "-c", "import sys; from nas.cli.main import main; sys.exit(main())"]


def config(**search):
    changed = {**CONFIG["search"], **search}
    return RunConfig.model_validate({**CONFIG, "search": changed})


def told(directory):
    """The results in the journal."""
    logs = map(json.loads, (directory / "journal.log").read_text().splitlines())
    return [log["user_attr"]["result"] for log in logs if "result" in log.get("user_attr", {})]


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """A search of three candidates and a baseline; its folder, and what it printed."""
    directory = tmp_path_factory.mktemp("shared") / "run"
    console = Console(file=io.StringIO(), width=200)
    run_search(config(trials=4, budget="trials"), directory, console)
    return directory, console.file.getvalue()


@pytest.mark.slow
def test_results_are_of_networks_that_trained_by_themselves(search):
    directory, printed = search
    results = told(directory)
    assert [(r["state"], r["epochs"], len(r["curve"])) for r in results] == [("complete", 2, 2)] * 4
    scores = Scores(directory)
    assert len(scores) == 20
    keys = {result["key"] for result in results}
    assert keys <= {score.key for score in scores}, "all candidates were scored before"
    assert all(result["dice"] != scores.get(result["key"]).dice for result in results)
    front = json.loads((directory / "front.json").read_text())
    assert {member["key"] for member in front["members"]} <= keys
    assert {path.stem for path in (directory / "checkpoints").glob("*.pt")} >= keys
    assert "supernet  epoch 4/4" in printed and "20 networks scored" in printed
    assert not (directory / "ray").exists()


@pytest.mark.slow
def test_baselines_train_whole(search):
    directory, _ = search
    [baseline] = open_search(directory).baselines
    assert (baseline.baseline, baseline.epochs) == ("unet-s", EPOCHS)


@pytest.mark.slow
def test_mlflow_has_the_curves_of_the_supernet_and_no_score(search):
    directory, _ = search
    runs = local(directory)
    points = runs.pop("")["points"]
    losses = {step: value for name, step, value in map(tuple, points) if name == "supernet/loss"}
    assert sorted(losses) == [1, 2, 3, 4]
    record = SupernetRecord.read(directory)
    assert [epoch["loss"] for epoch in record.curve] == [losses[n] for n in (1, 2, 3, 4)]
    expected = {result["key"] for result in told(directory)}
    expected |= {baseline.key for baseline in open_search(directory).baselines}
    assert set(runs) == expected


@pytest.mark.slow
def test_the_first_weights_of_a_member_are_those_it_was_scored_with(search, tmp_path):
    directory, _ = search
    opened = open_search(directory)
    member = opened.pick("best-dice")
    export = opened.export(member, tmp_path / "out")
    inherited = read_checkpoint(export.folder / INHERITED_WEIGHTS)["weights"]
    cut = SharedWeights.read(directory).open().cut(member.network())
    assert inherited.keys() == cut.state_dict().keys()
    for name, weight in cut.state_dict().items():
        torch.testing.assert_close(inherited[name], weight, rtol=0, atol=0)
    cache, cases = prepare_data(opened.config.data, directory)
    train, device = opened.config.train, torch.device("cpu")

    def dice(weights, names):
        network = member.network().build(cache.channels, cache.targets.outputs)
        network.load_state_dict(weights)
        return score_network(network, cache, names, train, lambda: autocast(train, device))[0]

    score = Scores(directory).get(member.key)
    assert dice(inherited, cases.validation[: score.cases]) == pytest.approx(score.dice, abs=1e-6)
    trial = read_checkpoint(export.folder / TRIAL_WEIGHTS)["weights"]
    assert dice(trial, cases.validation) == pytest.approx(member.dice, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["trial", "inherited"])
def test_retraining_begins_with_them(search, tmp_path, start):
    """At a rate of nothing, what it ends with is what it began with."""
    directory, _ = search
    opened = open_search(directory)
    export = opened.export(opened.pick("best-dice"), tmp_path / "out")
    still = ["train.learning_rate=1e-30", "train.epochs=1", "train.steps_per_epoch=1"]
    changes = [word for one in still for word in ("--set", one)]
    assert main(["retrain", str(export.folder), "--from", start, *changes]) == 0
    began = read_checkpoint(export.folder / f"{start}.pt")["weights"]
    ended = read_checkpoint(export.folder / "retrained.pt")["weights"]
    for name, weight in began.items():
        torch.testing.assert_close(ended[name], weight, rtol=0, atol=1e-6)
    assert json.loads((export.folder / "retrained.json").read_text())["from"] == start


@pytest.mark.slow
def test_other_shared_weights_are_refused_under_an_old_journal(search):
    directory, _ = search
    for changes in ({"supernet": {"epochs": 9}}, {"strategy": "train"}):
        with pytest.raises(UserError, match=r"search\.supernet"):
            run_search(config(**changes), directory, Console(file=io.StringIO()))


def test_a_supernet_that_leaves_no_epochs_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"epochs = 3: .* takes 12 of the search's 12 epochs"):
        run_search(config(supernet={"epochs": 3}), tmp_path, Console(file=io.StringIO()))
    assert not (tmp_path / "journal.log").exists()


def test_a_search_that_asks_for_more_trials_pays_for_its_supernet_once(tmp_path):
    few, more = (config(trials=trials, supernet={}) for trials in (4, 40))
    assert epochs_before(few, tmp_path) == 4 * 2  # networks of a step, of 24 epochs a share of 0.3
    assert epochs_before(more, tmp_path) == 4 * 18
    SupernetRecord(epochs=2).write(tmp_path)
    assert epochs_before(more, tmp_path) == 4 * 2


@pytest.mark.slow
def test_kill_9_in_the_training_and_in_the_scoring_loses_nothing(tmp_path):
    stage = {"epochs": 12, "candidates": 150, "cases": 2}
    own = {**CONFIG["search"], "budget": "trials", "supernet": stage}
    (tmp_path / "config.yaml").write_text(yaml.dump({**CONFIG, "search": own}))
    directory = tmp_path / "search"

    def searching():
        command = [*SEGNAS, "search", tmp_path / "config.yaml", "--dir", directory]
        with (tmp_path / "printed.txt").open("a") as printed:
            none = subprocess.DEVNULL
            return subprocess.Popen(command, stdin=none, stdout=printed, stderr=printed)

    def killed_when(ready):
        process = searching()
        while not ready():
            assert process.poll() is None, (tmp_path / "printed.txt").read_text()
            time.sleep(0.02)
        process.kill()
        process.wait()

    killed_when(lambda: SupernetRecord.read(directory).curve if directory.exists() else [])
    first = SupernetRecord.read(directory)
    assert 1 <= len(first.curve) < 12 and not first.trained
    killed_when((directory / SCORES).exists)
    second, scored = SupernetRecord.read(directory), (directory / SCORES).read_text()
    assert second.trained and second.curve[: len(first.curve)] == first.curve
    epochs = [epoch["epoch"] for epoch in second.curve]
    assert epochs == sorted(set(epochs)) and epochs[-1] == 12
    assert len(epochs) >= 11  # of the one that was under way, perhaps, the report was lost
    assert 0 < scored.count("\n") < 150
    assert told(directory) == []
    assert searching().wait(timeout=300) == 0, (tmp_path / "printed.txt").read_text()
    assert SupernetRecord.read(directory).curve == second.curve
    lines = (directory / SCORES).read_text()
    assert lines.startswith(scored) and lines.count("\n") == 150
    assert len(Scores(directory)) == 150
    assert all(result["epochs"] == 2 for result in told(directory))
