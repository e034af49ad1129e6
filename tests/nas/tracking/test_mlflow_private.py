"""What is read of MLflow's insides is as it was read."""

import shutil
import sqlite3
from contextlib import closing

from mlflow import MlflowClient

from nas.config.tracking import TrackingConfig
from nas.tracking import Search, Tracker
from nas.tracking.mlflow_private import ADDRESSES
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
