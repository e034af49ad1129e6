import shutil

from mlflow import MlflowClient

from nas.config.tracking import TrackingConfig
from nas.tracking import Search, Tracker


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
