"""The folder of a search may have any name that its file system takes."""

import json
import shutil
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from nas.cli.main import main
from nas.config.tracking import TrackingConfig
from nas.tracking import Search, Tracker
from nas.tracking.lookup import find_run
from nas.tracking.server import served
from nas.tracking.store import make_store, prepare_mlflow
from tests.nas.results import flat_result
from tests.nas.small_search import tracked_search

NAMES = [
    "low%20dose",
    "100%",
    "%2e%2e",
    "what?",
    "a?mode=ro",
    "a#b",
    "a&b=c",
    "two words",
    "ends in a space ",
    "Größe 漢字",
    "it's",
    'a"b',
    "a:b",
    "user:secret@host",
    "back\\slash",
    "two\nlines",
    "[*]",
    "%?# é",
]


def search(search_id="a"):
    return Search(id=search_id, name="demo", config_yaml="name: demo\n", params={})


@pytest.fixture(scope="module")
def made_store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    prepare_mlflow()
    make_store(path)
    return path


def tracked(folder):
    """Track a search of one trial in `folder`."""
    (folder / "front.html").write_text("the front")
    tracker = Tracker(TrackingConfig(), folder, search())
    assert tracker.sync([]).failed is None
    tracker.trial_epoch("abc", 0, {"width": 16}, 1, {"dice": 0.5})
    result = flat_result(key="abc", architecture={"width": 16}, dice=0.5, params=1000)
    tracker.trial_end(result, [result])
    assert tracker.finish(folder, {}).failed is None


def below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", NAMES)
def test_store_and_artifacts_lie_in_the_folder_and_nothing_beside_it(tmp_path, made_store, name):
    folder = tmp_path / "runs" / name
    folder.mkdir(parents=True)
    shutil.copy(made_store, folder / "mlflow.db")
    tracked(folder)
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM runs ORDER BY name")]
    assert names == ["demo", "trial-0-abc"]
    artifacts = [path.name for path in (folder / "mlartifacts").rglob("*") if path.is_file()]
    assert sorted(artifacts) == ["config.yaml", "front.html"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    parent = find_run(TrackingConfig(), folder, "a")
    assert find_run(TrackingConfig(), folder, "a", "abc")[0] == parent[0]


def test_a_new_store_is_made_under_such_a_name_and_moves_to_another(tmp_path):
    old, new = tmp_path / "low%20dose", tmp_path / "what? #1"
    old.mkdir()
    tracked(old)
    before = below(old)
    assert not list(old.glob(".mlflow-*"))
    shutil.copytree(old, new)
    assert Tracker(TrackingConfig(), new, search("b")).sync([]).failed is None
    assert below(old) == before
    assert len([path for path in (new / "mlartifacts").rglob("*") if path.is_file()]) == 3


@pytest.mark.slow
def test_the_server_of_segnas_ui_reads_store_and_artifacts_there(tmp_path, made_store):
    folder = tmp_path / "low%20dose? #1"
    folder.mkdir()
    shutil.copy(made_store, folder / "mlflow.db")
    tracked(folder)
    _, run = find_run(TrackingConfig(), folder, "a")
    before = set(tmp_path.iterdir())
    with served(folder, "127.0.0.1", None) as (url, _):
        with urllib.request.urlopen(f"{url}/api/2.0/mlflow/runs/get?run_id={run}") as answer:
            assert json.load(answer)["run"]["info"]["run_name"] == "demo"
        with urllib.request.urlopen(f"{url}/get-artifact?path=front.html&run_id={run}") as answer:
            assert answer.read() == b"the front"
    assert set(tmp_path.iterdir()) == before
    assert not (Path.cwd() / "mlflow.db").exists()


def test_a_model_that_mlflow_could_not_load_from_there_is_refused_before_anything_is_written(
    tmp_path, capsys
):
    folder = tmp_path / "low%20dose"
    folder.mkdir()
    tracked_search(folder)
    export = ["export", str(folder), "--pick", "knee", "--to", str(tmp_path / "out")]
    assert main([*export, "--register", "model"]) == 2
    assert "it reads %20 in a path as another sign" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
