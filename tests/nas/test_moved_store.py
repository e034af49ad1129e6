import shutil

from mlflow import MlflowClient

from nas.tracking import Search, Tracker, TrackingConfig


def synced(directory):
    search = Search(id="s", name="demo", config_yaml="", params={})
    Tracker(TrackingConfig(), directory, search).sync([])


def files(directory):
    return {path.relative_to(directory) for path in directory.rglob("*") if path.is_file()}


def test_a_copied_search_keeps_its_artifacts_in_its_own_folder(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new one"
    old.mkdir()
    synced(old)
    shutil.copytree(old, new)
    before = files(old)
    synced(new)
    client = MlflowClient(f"sqlite:///{new / 'mlflow.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name == "segnas")
    (run,) = client.search_runs([experiment.experiment_id])
    client.log_text(run.info.run_id, "kept", "note.txt")
    assert files(old) == before
    assert [path.read_text() for path in (new / "mlartifacts").rglob("note.txt")] == ["kept"]
    assert {path.name for path in files(new / "mlartifacts")} == {"config.yaml", "note.txt"}
