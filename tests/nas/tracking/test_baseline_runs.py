import json
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from nas.report.read_search import read_search
from nas.study.candidate import Candidate
from nas.study.stored_results import keep_compressed
from nas.tracking import store
from search_spaces.registry import find_preset
from tests.nas.parts import open_study
from tests.nas.probers import latency
from tests.nas.tracking.test_sync import CURVE, EPOCHS, Driver, curve, local, sync


def opened(directory, **changes):
    store.prepare_mlflow()
    store.make_store(directory / "mlflow.db")
    return Driver(directory, **changes)


@pytest.fixture
def driver(tmp_path):
    return opened(tmp_path)


def baseline(driver):
    """One that was trained whole, and is better than every candidate in everything."""
    made = Candidate(0, find_preset("unet-s"), {"params": 10, "macs": 10}, baseline="unet-s")
    driver.study.begin_baseline(made)
    return made, made.result(state="complete", dice=0.99, epochs=EPOCHS, curve=CURVE)


def test_a_baseline_has_a_tagged_run_like_a_trials_and_no_part_in_the_front(driver):
    result = driver.tell(driver.train())
    made, ended = baseline(driver)
    epoch = made.key, made.number, made.architecture.to_json(), 1, {"loss": 1.0}
    driver.tracker.trial_epoch(*epoch, made.baseline)
    driver.study.tell(ended)
    driver.tracker.trial_end(ended, driver.study.results)
    driver.tracker.finish(driver.directory, {})
    runs = local(driver.directory)
    run, trial = runs[made.key], runs[result.key]
    assert (run["status"], run["tags"]["baseline"]) == ("FINISHED", "unet-s")
    assert run["tags"]["mlflow.runName"] == "baseline-unet-s"
    assert (run["tags"]["front"], trial["tags"]["front"]) == ("false", "true")
    assert "pareto_rank" not in run["tags"]
    assert "baseline" not in trial["tags"]
    assert run["params"]["kind"] == "unet"
    names = [{name for name, *_ in one["points"]} for one in (run, trial)]
    assert names[0] - {"macs"} == names[1]
    assert [point[1] for point in curve(run)] == list(CURVE)
    volumes = [point for point in runs[""]["points"] if point[0] == "hypervolume"]
    assert [step for _, step, _ in volumes] == [1]  # one trial has ended, and was not dominated


def test_sync_sends_a_baseline_that_mlflow_lacks(driver):
    driver.tell(driver.train())
    made, ended = baseline(driver)
    driver.study.tell(ended)
    assert sync(driver.directory)[0] == 0
    assert local(driver.directory)[made.key]["tags"]["baseline"] == "unet-s"
    record = read_search(driver.directory)[1]
    assert [one.label for one in record.baselines] == ["unet-s"]
    written = json.loads((driver.directory / "front.json").read_text())
    assert [one["baseline"] for one in written["baselines"]] == ["unet-s"]
    assert [one["key"] for one in written["members"]] == [one.key for one in record.members]


def test_a_compressed_network_has_a_tagged_run_of_its_own_and_no_part_in_the_front(driver):
    trial = driver.tell(driver.train())
    # The architecture of the trial itself, as a student may have.
    how = {"method": "distil", "of": trial.key, "weights": "0123456789"}
    joined = replace(trial, dice=0.99, curve=(), compressed=how)
    keep_compressed(driver.directory, joined)
    assert sync(driver.directory)[0] == 0
    runs = local(driver.directory)
    run = runs[f"{trial.key}-distil"]
    assert set(runs) == {"", trial.key, f"{trial.key}-distil"}
    assert run["tags"]["mlflow.runName"] == f"compressed-{trial.key}-distil"
    assert (run["tags"]["compressed"], run["tags"]["compressed_of"]) == ("distil", trial.key)
    assert (run["tags"]["front"], runs[trial.key]["tags"]["front"]) == ("false", "true")
    assert "pareto_rank" not in run["tags"] and "compressed" not in runs[trial.key]["tags"]
    # Made of another network now, and trained for fewer epochs: the same run tells it.
    other = {"dice": 0.5, "epochs": 1, "compressed": {**how, "of": "another"}}
    keep_compressed(driver.directory, replace(joined, **other))
    assert sync(driver.directory)[0] == 0
    run = local(driver.directory)[f"{trial.key}-distil"]
    assert run["tags"]["compressed_of"] == "another"
    client = MlflowClient(f"sqlite:///{driver.directory / 'mlflow.db'}")
    [found] = client.search_runs(
        [client.get_experiment_by_name("segnas").experiment_id], "tags.compressed = 'distil'"
    )
    assert (found.data.metrics["dice"], found.data.metrics["epochs"]) == (0.5, 1)


def test_sync_tells_of_a_baseline_and_a_compressed_network_that_are_infeasible(tmp_path):
    """The first failed, and the second was over the budget when it was measured again, while
    MLflow was away."""
    driver = opened(tmp_path, objectives=["dice", "latency_ms"], budget={"latency_ms": 3})
    trial = driver.tell(driver.train())
    made, ended = baseline(driver)
    epoch = made.key, made.number, made.architecture.to_json(), 1, {"loss": 1.0}
    driver.tracker.trial_epoch(*epoch, made.baseline)
    driver.study.tell(made.infeasible("diverged: the loss is nan"))
    how = {"method": "distil", "of": trial.key, "weights": "0123456789"}
    joined = replace(ended, key=trial.key, baseline="", compressed=how)
    keep_compressed(driver.directory, joined)
    sync(driver.directory)
    study = open_study(driver.directory, driver.config, lambda _: {"params": 1000})
    study.revise(joined.name, latency(4.0))
    assert sync(driver.directory)[0] == 0
    runs = local(driver.directory)
    failed, slow = (runs[name] for name in (made.key, joined.name))
    assert [one["status"] for one in (failed, slow)] == ["FAILED"] * 2
    assert [one["tags"]["state"] for one in (failed, slow)] == ["infeasible"] * 2
    assert failed["tags"]["reason"] == "diverged: the loss is nan"
    assert slow["tags"]["reason"].endswith("measured again")
    assert "nothing was missing" in sync(driver.directory)[1]
    assert not read_search(driver.directory)[1].beside
    # A search that goes on sends the same.
    assert [one.name for one in study.ended_beside] == [made.key, joined.name]
