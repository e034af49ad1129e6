"""What somebody deleted in MLflow's pages between two sessions of a search."""

import logging
import shutil

import pytest
from mlflow import MlflowClient

from nas.cli.main import main
from tests.nas.tracking.test_sync import Driver, curve, local, made_store, sync

__all__ = ["made_store"]  # a fixture


@pytest.fixture
def searched(tmp_path, made_store, caplog):
    """The folder of a search of one trial, and a client of its store."""
    caplog.set_level(logging.WARNING)
    shutil.copy(made_store, tmp_path / "mlflow.db")
    driver = Driver(tmp_path)
    driver.tell(driver.train())
    driver.tracker.finish(tmp_path, {})
    return tmp_path, MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


def runs_of(client):
    """The experiment and its runs: the search's, then the trials'."""
    experiment = client.get_experiment_by_name("segnas").experiment_id
    runs = sorted(client.search_runs([experiment]), key=lambda run: len(run.data.tags))
    parent = [run for run in runs if "segnas.search" in run.data.tags]
    return experiment, [run.info.run_id for run in (*parent, *(r for r in runs if r not in parent))]


def delete_experiment(client):
    client.delete_experiment(runs_of(client)[0])


def delete_search(client):
    client.delete_run(runs_of(client)[1][0])


def delete_trial(client):
    client.delete_run(runs_of(client)[1][1])


def delete_all_runs(client):
    for run in runs_of(client)[1]:
        client.delete_run(run)


DELETED = {
    delete_experiment: "the experiment segnas",
    delete_search: "the run of the search",
    delete_trial: "1 run of trials",
    delete_all_runs: "the run of the search, 1 run of trials",
}


@pytest.mark.parametrize("delete", DELETED)
def test_it_is_restored_by_the_next_session_and_said(searched, delete, caplog):
    directory, client = searched
    before = local(directory)
    delete(client)
    driver = Driver(directory)
    assert driver.opening.failed is None
    [said] = [record.getMessage() for record in caplog.records]
    assert said == f"Deleted in MLflow, and restored: {DELETED[delete]}"
    result = driver.tell(driver.train())
    driver.tracker.finish(directory, {})
    after = local(directory)
    assert after.keys() == {*before, result.key}
    assert curve(after[result.key]) == [(2, 0.2), (4, 0.4), (5, 0.5)]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("delete", DELETED)
def test_the_advice_of_segnas_ui_works(searched, delete, capsys):
    directory, client = searched
    delete(client)
    if delete is not delete_trial:
        assert main(["ui", str(directory)]) == 2
        assert f"segnas sync {directory}" in capsys.readouterr().err.replace("\n", "")
    assert sync(directory)[0] == 0
    assert "nothing was missing" in sync(directory)[1]


def test_a_trial_that_is_deleted_while_the_search_runs_comes_back_with_its_end(searched):
    directory, client = searched
    driver = Driver(directory)
    candidate = driver.train()
    client.delete_run(driver.tracker._runs.children[candidate.key].run_id)
    driver.tell(candidate)
    driver.tracker.finish(directory, {})
    assert not driver.tracker.behind
    assert curve(local(directory)[candidate.key]) == [(2, 0.2), (4, 0.4), (5, 0.5)]


def test_a_deleted_run_stays_deleted_beside_one_that_was_made_anew(searched):
    """As earlier versions did."""
    directory, client = searched
    experiment, [parent, old] = runs_of(client)
    tags = client.get_run(old).data.tags
    client.delete_run(old)
    kept = {name: tags[name] for name in ("segnas.key", "mlflow.parentRunId")}
    anew = client.create_run(experiment, tags=kept).info.run_id
    Driver(directory)
    assert runs_of(client)[1] == [parent, anew]
    assert client.get_run(old).info.lifecycle_stage == "deleted"
