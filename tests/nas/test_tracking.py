import logging

import pytest
from mlflow import MlflowClient

from nas.result import Result
from nas.tracking import Search, Tracker, TrackingConfig, tracker
from nas.tracking.values import flattened

ARCHITECTURE = {"width": 16, "tokens": [{"prune": 0.5, "layers": ["both", "none"]}]}


def track(config, directory, name="demo", search_id="s", config_yaml="", params=None):
    """A tracker as a search opens it."""
    search = Search(id=search_id, name=name, config_yaml=config_yaml, params=params or {})
    tracker = Tracker(config, directory, search)
    tracker.sync([], [])
    return tracker


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A migrated store, made once: the folder has a space, as users' folders do."""
    directory = tmp_path_factory.mktemp("a search")
    track(TrackingConfig(), directory, search_id="made")
    return directory


@pytest.fixture
def opened(store, request):
    """Opens the search of this test; a second call is a resumed search."""

    def opened(**changes):
        values = {"name": "demo", "search_id": request.node.name, "config_yaml": "name: demo\n"}
        return track(TrackingConfig(), store, params={"seed": 0}, **{**values, **changes})

    return opened


@pytest.fixture
def runs(store, request):
    """Reads (parents, children) of this test's search back, with a client of its own."""

    def read():
        client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
        homes = [client.get_experiment_by_name("segnas").experiment_id]
        parents = client.search_runs(homes, f"tags.`segnas.search` = '{request.node.name}'")
        parent = parents[0].info.run_id
        children = client.search_runs(homes, f"tags.`mlflow.parentRunId` = '{parent}'")
        return parents, {child.data.tags["segnas.key"]: child for child in children}

    return read


@pytest.fixture
def client(store):
    return MlflowClient(f"sqlite:///{store / 'mlflow.db'}")


def result(key="abc", number=0, **changes):
    values = {
        "architecture": ARCHITECTURE,
        "state": "complete",
        "dice": 0.87,
        "dice_per_class": {"Anterior (head)": 0.88, "Posterior": 0.86},
        "params": 12_300,
        "macs": 410_000_000,
        "latency_ms": 8.7,
        "epochs": 2,
        "train_seconds": 30.0,
    }
    return Result(key=key, number=number, **{**values, **changes})


def test_a_search_is_one_parent_and_a_nested_run_a_trial(opened, runs):
    tracking = opened()
    for key, number in (("abc", 0), ("def", 1)):
        for epoch in (1, 2):
            tracking.trial_epoch(key, number, ARCHITECTURE, epoch, {"dice": epoch / 10})
        tracking.trial_end(result(key, number))
    [parent], children = runs()
    assert parent.info.status == "RUNNING"
    assert parent.data.params == {"seed": "0"}
    assert children["abc"].info.run_name == "trial-0-abc"
    assert children["def"].info.run_name == "trial-1-def"


def test_a_trial_has_its_architecture_curve_and_objectives(opened, runs, client):
    tracking = opened()
    for epoch, dice in enumerate((0.5, 0.87), start=1):
        tracking.trial_epoch("abc", 0, ARCHITECTURE, epoch, {"dice": dice, "loss": 1 - dice})
    tracking.trial_end(result())
    child = runs()[1]["abc"]
    assert child.info.status == "FINISHED"
    assert child.data.params == {
        "width": "16",
        "tokens.0.prune": "0.5",
        "tokens.0.layers.0": "both",
        "tokens.0.layers.1": "none",
    }
    curve = client.get_metric_history(child.info.run_id, "epoch/dice")
    assert [(point.step, point.value) for point in curve] == [(1, 0.5), (2, 0.87)]
    final = {name: v for name, v in child.data.metrics.items() if not name.startswith("epoch/")}
    assert final == {
        "dice": 0.87,
        "dice_Anterior _head_": 0.88,
        "dice_Posterior": 0.86,
        "params": 12_300,
        "macs": 410_000_000,
        "latency_ms": 8.7,
        "epochs": 2,
        "train_seconds": 30.0,
    }
    assert child.data.tags["state"] == "complete"
    assert child.data.tags["key"] == "abc"


def test_an_infeasible_trial_says_why_and_has_no_final_dice(opened, runs):
    tracking = opened()
    tracking.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.3})
    failed = {"state": "infeasible", "reason": "NaN loss", "dice": None, "dice_per_class": {}}
    tracking.trial_end(result(**failed))
    child = runs()[1]["abc"]
    assert child.info.status == "FAILED"
    assert child.data.tags["reason"] == "NaN loss"
    assert child.data.tags["front"] == "false"
    assert "dice" not in child.data.metrics


def test_a_trial_that_was_stopped_and_trained_on_is_one_run(opened, runs, client):
    tracking = opened()
    reason = "stopped after 1 of 2 epochs"
    unfinished = {"state": "stopped", "reason": reason, "dice": None, "dice_per_class": {}}
    tracking.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.3})
    tracking.trial_end(result(epochs=1, curve=(0.3,), **unfinished))
    child = runs()[1]["abc"]
    assert child.info.status == "FINISHED"
    assert (child.data.tags["state"], child.data.tags["reason"]) == ("stopped", reason)
    assert "dice" not in child.data.metrics
    assert child.data.metrics["epochs"] == 1
    tracking.trial_epoch("abc", 0, ARCHITECTURE, 2, {"dice": 0.87})
    assert runs()[1]["abc"].info.status == "RUNNING"
    tracking.trial_end(result(curve=(0.3, 0.87)))
    _, children = runs()
    assert list(children) == ["abc"]
    assert children["abc"].data.tags["state"] == "complete"
    assert "reason" not in children["abc"].data.tags
    assert children["abc"].data.metrics["dice"] == 0.87
    assert children["abc"].data.metrics["epochs"] == 2
    curve = client.get_metric_history(child.info.run_id, "epoch/dice")
    assert [(point.step, point.value) for point in curve] == [(1, 0.3), (2, 0.87)]


def test_a_candidate_rejected_before_training_has_a_run(opened, runs):
    opened().trial_end(result(state="infeasible", reason="over budget", dice=None))
    assert runs()[1]["abc"].data.params["width"] == "16"


def test_retries_and_resumes_find_the_same_runs(opened, runs):
    first = opened()
    first.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.1})
    first.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.2})  # retried after a lost worker
    before = runs()
    resumed = opened(config_yaml="name: changed\n")
    resumed.trial_epoch("abc", 0, ARCHITECTURE, 2, {"dice": 0.3})
    resumed.trial_end(result())
    after = runs()
    assert [p.info.run_id for p in after[0]] == [p.info.run_id for p in before[0]]
    assert after[1]["abc"].info.run_id == before[1]["abc"].info.run_id
    assert len(after[1]) == 1


def test_an_epoch_that_is_reported_again_is_one_point(opened, runs, client):
    opened().trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.1, "loss": 0.5})
    again = opened()  # killed before it noted the report: only validation is repeated
    again.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.1, "loss": float("nan")})
    again.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.1, "loss": float("nan")})
    child = runs()[1]["abc"].info.run_id
    assert [p.value for p in client.get_metric_history(child, "epoch/dice")] == [0.1]
    assert [p.value for p in client.get_metric_history(child, "epoch/loss")] == [0.5]


def test_a_resumed_search_and_its_cut_off_trials_run_again(opened, runs, tmp_path):
    first = opened()
    first.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.1})
    first.finish(tmp_path, {}, status="KILLED")
    [parent], children = runs()
    assert (parent.info.status, children["abc"].info.status) == ("KILLED", "KILLED")
    opened().trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.1})
    [parent], children = runs()
    assert (parent.info.status, children["abc"].info.status) == ("RUNNING", "RUNNING")


def test_front_tags_follow_the_front_also_across_a_resume(opened, runs):
    tracking = opened()
    for number, key in enumerate(("abc", "def")):
        tracking.trial_end(result(key, number))
        tracking.update_front({"abc"})
    tracking.trial_epoch("running", 2, ARCHITECTURE, 1, {"dice": 0.1})

    def fronts():
        return {key: child.data.tags.get("front") for key, child in runs()[1].items()}

    assert fronts() == {"abc": "true", "def": "false", "running": None}
    opened().update_front({"def"})
    assert fronts() == {"abc": "false", "def": "true", "running": None}


def test_only_changed_front_tags_are_written(opened, monkeypatch):
    written = []
    set_tag = MlflowClient.set_tag
    monkeypatch.setattr(
        MlflowClient,
        "set_tag",
        lambda self, run, name, value: written.append(value) or set_tag(self, run, name, value),
    )
    tracking = opened()
    for number, key in enumerate(("abc", "def")):
        tracking.trial_end(result(key, number))
    for members in ({"abc"}, {"abc"}, {"abc", "def"}):
        tracking.update_front(members)
    assert written == ["true", "true"]


def test_finish_uploads_the_front_and_ends_the_parent(opened, runs, client, tmp_path):
    for name in ("front.json", "front.csv", "front.html"):
        (tmp_path / name).write_text(name)
    tracking = opened()
    tracking.finish(tmp_path, {"hypervolume": 0.8})
    [parent], _ = runs()
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"hypervolume": 0.8}
    artifacts = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert artifacts == {"config.yaml", "front.json", "front.csv", "front.html"}


def test_the_command_and_the_link_lead_to_the_front(opened, runs, store):
    tracking = opened()
    [parent], _ = runs()
    assert tracking.ui_command() == (
        f"mlflow ui --backend-store-uri 'sqlite:///{store}/mlflow.db' --host 127.0.0.1"
    )
    home, run = parent.info.experiment_id, parent.info.run_id
    assert tracking.link() == (
        f"http://127.0.0.1:5000/#/experiments/{home}/runs/{run}/artifacts/front.html"
        "?workflowType=machine_learning"
    )


def test_disabled_tracking_leaves_no_trace(tmp_path):
    config = TrackingConfig(enabled=False)
    tracking = track(config, tmp_path)
    tracking.trial_end(result())
    tracking.finish(tmp_path, {})
    assert tracking.ui_command() is None
    assert tracking.link() is None
    assert not list(tmp_path.iterdir())


@pytest.fixture
def unreachable(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    return TrackingConfig(uri="http://user:secret@127.0.0.1:9")


def test_an_unreachable_server_is_told_once_and_ends_nothing(unreachable, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        tracking = track(unreachable, tmp_path)
        tracking.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.1})
        tracking.trial_end(result())
        tracking.update_front({"abc"})
        tracking.finish(tmp_path, {})
    [record] = [record for record in caplog.records if record.name == "segnas.tracking"]
    assert "127.0.0.1:9" in record.getMessage()
    assert "The search goes on" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_results_of_an_outage_are_sent_once_the_server_answers(opened, runs, monkeypatch):
    monkeypatch.setattr(tracker, "PAUSE", 0.0)
    tracking = opened()
    with monkeypatch.context() as outage:
        outage.setattr(MlflowClient, "log_batch", _refused)
        tracking.trial_end(result("abc", 0))
        tracking.trial_end(result("def", 1))
    tracking.update_front({"abc"})
    children = runs()[1]
    assert {key: child.data.tags["front"] for key, child in children.items()} == {
        "abc": "true",
        "def": "false",
    }
    assert {child.info.status for child in children.values()} == {"FINISHED"}
    assert children["abc"].data.params["width"] == "16"


def test_a_failing_server_is_left_alone_for_a_while(opened, monkeypatch):
    tried = []
    monkeypatch.setattr(tracker, "PAUSE", 1e9)
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *a, **k: tried.append(1) or _refused())
    tracking = opened()
    for epoch in range(5):
        tracking.trial_epoch("abc", 0, ARCHITECTURE, epoch, {"dice": 0.1})
    assert len(tried) == 1


def test_a_mistake_of_ours_is_not_taken_for_a_server_failure(opened):
    with pytest.raises(TypeError):
        opened().trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": object()})


def test_names_of_nested_choices_are_dotted():
    assert flattened({"a": 1, "b": [{"c": "x"}, {"c": "y"}]}) == {
        "a": 1,
        "b.0.c": "x",
        "b.1.c": "y",
    }


def _refused(*args, **kwargs):
    raise ConnectionError("refused")
