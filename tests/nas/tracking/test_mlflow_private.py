"""What is read of MLflow's insides is as it was read."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
from mlflow import MlflowClient

from nas.config.tracking import TrackingConfig
from nas.tracking import Search, Tracker
from nas.tracking.description import trials_path, trials_view
from nas.tracking.mlflow_private import ADDRESSES, VIEW_PARAMETER, VIEW_TAG
from nas.tracking.store import make_store


def synced(directory, search_id):
    search = Search(id=search_id, name="demo", config_yaml="", params={})
    Tracker(TrackingConfig(), directory, search).sync([])


def files(directory):
    return {path.relative_to(directory) for path in directory.rglob("*") if path.is_file()}


def test_a_copied_search_keeps_its_artifacts_in_its_own_folder(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new one"
    old.mkdir()
    synced(old, "a")
    shutil.copytree(old, new)
    before = files(old)
    synced(new, "b")
    assert files(old) == before
    assert len(files(new / "mlartifacts")) == 2  # each search's config.yaml
    client = MlflowClient(f"sqlite:///{new / 'mlflow.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name == "segnas")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2
    assert all(r.info.artifact_uri.startswith((new / "mlartifacts").as_uri() + "/") for r in runs)


def test_the_columns_that_hold_addresses_are_those_of_the_tables(tmp_path):
    """Fails for a version of MLflow that renames one or adds another: read its tables again."""
    make_store(tmp_path / "mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
        columns = {
            (table, row[1])
            for table in tables
            for row in database.execute(f"PRAGMA table_info('{table}')")
        }
    assert set(ADDRESSES) <= columns
    named = {(t, c) for t, c in columns if "artifact" in c or c.endswith("_location")}
    others = {(t, c) for t, c in named if t == "workspaces"}  # defaults of a server's workspaces
    assert named - others <= set(ADDRESSES)


def test_a_search_keeps_the_view_of_its_trials_that_its_description_leads_to(tmp_path):
    synced(tmp_path, "a")
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("segnas")
    (run,) = client.search_runs([experiment.experiment_id])
    view = json.loads(experiment.tags[VIEW_TAG + run.info.run_id])
    assert view["searchFilter"] == f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    assert view["orderByKey"] == "metrics.`dice`"
    assert f"{VIEW_PARAMETER}={run.info.run_id}&" in trials_path("1", run.info.run_id)
    # The filter is one that MLflow takes.
    assert client.search_runs([experiment.experiment_id], view["searchFilter"]) == []


def test_the_view_has_a_column_and_a_chart_of_each_objective():
    view = json.loads(trials_view(["dice", "latency_ms@clinic", "params"], "r"))
    charts = [(chart["xaxis"]["key"], chart["yaxis"]["key"]) for chart in view["compareRunCharts"]]
    assert charts == [("latency_ms/clinic", "dice"), ("params", "dice"), ("macs", "dice")]
    assert view["selectedColumns"][:2] == ["metrics.`dice`", "metrics.`latency_ms/clinic`"]
    assert view["selectedColumns"][-3:] == ["tags.`front`", "tags.`pareto_rank`", "tags.`state`"]


def test_the_pages_of_mlflow_still_know_the_words_of_a_view():
    """Fails for a version of MLflow that calls them otherwise: read its pages again."""
    folder = Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js"
    pages = "".join(path.read_text() for path in folder.glob("*.js"))
    words = [VIEW_PARAMETER, VIEW_TAG, *json.loads(trials_view(["dice", "params"], "r"))]
    assert [word for word in words if f'"{word}"' not in pages] == []
