import logging
import math
from pathlib import Path
from socket import gethostname

import pytest
from mlflow import MlflowClient

from nas.config.tracking import TrackingConfig
from nas.pareto.front_chances import front_chances
from nas.tracking import Search, TrackedRuns, Tracker, lookup, search_run, tracker
from nas.tracking.lookup import find_trial_runs
from nas.tracking.trial_runs import Runs
from tests.nas.results import flat_result

ARCHITECTURE = {"width": 16, "tokens": [{"prune": 0.5, "layers": ["both", "none"]}]}


def track(config, directory, name="demo", search_id="s", config_yaml="", params=None):
    """A tracker as a search opens it."""
    search = Search(id=search_id, name=name, config_yaml=config_yaml, params=params or {})
    tracker = Tracker(config, directory, search)
    tracker.sync([])
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
        "dice": 0.87,
        "dice_per_class": {"Anterior (head)": 0.88, "Posterior": 0.86},
        "params": 12_300,
        "macs": 410_000_000,
        "latency_ms": 8.7,
        "epochs": 2,
        "train_seconds": 30.0,
    }
    return flat_result(key=key, number=number, **{**values, **changes})


def end(tracking, *results):
    """The last of these has ended, the others before it."""
    tracking.trial_end(results[-1], results)


def test_a_search_is_one_parent_and_a_nested_run_a_trial(opened, runs):
    tracking = opened()
    for key, number in (("abc", 0), ("def", 1)):
        for epoch in (1, 2):
            tracking.trial_epoch(key, number, ARCHITECTURE, epoch, {"dice": epoch / 10})
        end(tracking, result(key, number))
    [parent], children = runs()
    assert parent.info.status == "RUNNING"
    assert parent.data.params == {"seed": "0"}
    assert children["abc"].info.run_name == "trial-0-abc"
    assert children["def"].info.run_name == "trial-1-def"


def test_a_trial_has_its_architecture_curve_and_objectives(opened, runs, client):
    tracking = opened()
    for epoch, dice in enumerate((0.5, 0.87), start=1):
        tracking.trial_epoch("abc", 0, ARCHITECTURE, epoch, {"dice": dice, "loss": 1 - dice})
    end(tracking, result())
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


def test_a_trial_that_was_trained_again_has_its_trainings_and_its_chance(
    opened, runs, client, tmp_path
):
    tracking = opened()
    first, other = result(dice=0.9), result("def", 1, dice=0.8)
    end(tracking, first, other)
    again = result(dice=0.85, trainings=(0.9, 0.8))
    tracking.trial_end(again, [again, other])
    for _ in range(2):
        tracking.finish(tmp_path, {})
    chances = front_chances([again, other], ("dice", "params"))
    _, children = runs()
    found = children["abc"].data.metrics
    assert (found["dice"], found["training/1"], found["training/2"]) == (0.85, 0.9, 0.8)
    assert {key: child.data.metrics["chance"] for key, child in children.items()} == chances
    history = client.get_metric_history(children["abc"].info.run_id, "chance")
    assert len(history) == 1  # the same is not sent twice


def test_an_infeasible_trial_says_why_and_has_no_final_dice(opened, runs):
    tracking = opened()
    tracking.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.3})
    failed = {"state": "infeasible", "reason": "NaN loss", "dice": None, "dice_per_class": {}}
    end(tracking, result(**failed))
    child = runs()[1]["abc"]
    assert child.info.status == "FAILED"
    assert child.data.tags["reason"] == "NaN loss"
    assert child.data.tags["front"] == "false"
    assert "dice" not in child.data.metrics


def test_what_was_rejected_without_a_training_has_its_run(opened, runs, client):
    """With the next trial that ends, or in the end."""
    rejected = {"state": "infeasible", "reason": "over budget", "dice": None, "epochs": 0}
    first, last = (result(key, n, **rejected) for key, n in (("def", 0), ("fed", 2)))
    tracking, trained = opened(), result("abc", 1)
    tracking.trial_end(trained, [first, trained])
    assert set(runs()[1]) == {"abc", "def"}
    tracking.trials_end(results := [first, trained, last])
    [parent], children = runs()
    assert [children[key].info.status for key in ("def", "fed")] == ["FAILED"] * 2
    assert children["fed"].data.tags["reason"] == "over budget"
    history = client.get_metric_history(parent.info.run_id, "hypervolume")
    assert [point.step for point in history] == [1, 2, 3]
    assert opened().sync(results).made == 0  # as a search that goes on would have


def test_a_trial_that_became_infeasible_shows_no_dice_any_more(opened, runs, client, tmp_path):
    """Its latency was measured again, and is over the budget."""
    tracking = opened()
    first, other = result(dice=0.9, trainings=(0.92, 0.88)), result("def", 1, dice=0.8)
    end(tracking, other, first)
    tracking.finish(tmp_path, {})
    lost = {"state": "infeasible", "reason": "over budget: latency_ms 9.1", "latency_ms": 9.1}
    revised = result(dice=None, dice_per_class={}, **lost)
    for _ in range(2):
        tracking.trial_end(revised, [other, revised])
    child = runs()[1]["abc"]
    found = child.data.metrics
    gone = {"dice", "dice_Anterior _head_", "dice_Posterior", "training/1", "training/2", "chance"}
    assert {name for name, value in found.items() if math.isnan(value)} == gone
    assert found["latency_ms"] == 9.1
    assert len(client.get_metric_history(child.info.run_id, "dice")) == 2  # NaN is sent once


def test_a_trial_that_was_stopped_and_trained_on_is_one_run(opened, runs, client):
    tracking = opened()
    reason = "stopped after 1 of 2 epochs"
    unfinished = {"state": "stopped", "reason": reason, "dice": None, "dice_per_class": {}}
    tracking.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.3})
    end(tracking, result(epochs=1, curve=(0.3,), **unfinished))
    child = runs()[1]["abc"]
    assert child.info.status == "FINISHED"
    assert (child.data.tags["state"], child.data.tags["reason"]) == ("stopped", reason)
    assert "dice" not in child.data.metrics
    assert child.data.metrics["epochs"] == 1
    tracking.trial_epoch("abc", 0, ARCHITECTURE, 2, {"dice": 0.87})
    assert runs()[1]["abc"].info.status == "RUNNING"
    end(tracking, result(curve=(0.3, 0.87)))
    _, children = runs()
    assert list(children) == ["abc"]
    assert children["abc"].data.tags["state"] == "complete"
    assert "reason" not in children["abc"].data.tags
    assert children["abc"].data.metrics["dice"] == 0.87
    assert children["abc"].data.metrics["epochs"] == 2
    curve = client.get_metric_history(child.info.run_id, "epoch/dice")
    assert [(point.step, point.value) for point in curve] == [(1, 0.3), (2, 0.87)]


def test_a_candidate_rejected_before_training_has_a_run(opened, runs):
    end(opened(), result(state="infeasible", reason="over budget", dice=None))
    assert runs()[1]["abc"].data.params["width"] == "16"


def test_retries_and_resumes_find_the_same_runs(opened, runs):
    first = opened()
    first.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.1})
    first.trial_epoch("abc", 0, ARCHITECTURE, 1, {"dice": 0.2})  # retried after a lost worker
    before = runs()
    resumed = opened(config_yaml="name: changed\n")
    resumed.trial_epoch("abc", 0, ARCHITECTURE, 2, {"dice": 0.3})
    end(resumed, result())
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


# By Dice and parameters: the first beats the second, the second the third; the fourth beats all.
LADDER = [
    result("abc", 0, dice=0.87, params=10_000),
    result("def", 1, dice=0.80, params=20_000),
    result("ghi", 2, dice=0.70, params=30_000),
    result("jkl", 3, dice=0.90, params=9_000),
]


def test_ranks_follow_the_front_also_across_a_resume(opened, runs):
    def places():
        tags = {key: child.data.tags for key, child in runs()[1].items()}
        return {key: (told.get("front"), told.get("pareto_rank")) for key, told in tags.items()}

    tracking = opened()
    for number in (1, 2, 3):
        end(tracking, *LADDER[:number])
    tracking.trial_epoch("running", 4, ARCHITECTURE, 1, {"dice": 0.1})
    first = {"abc": ("true", "1"), "def": ("false", "2"), "ghi": ("false", "3")}
    assert places() == {**first, "running": (None, None)}
    end(opened(), *LADDER)
    assert places() == {
        "abc": ("false", "2"),
        "def": ("false", "3"),
        "ghi": ("false", "4"),
        "jkl": ("true", "1"),
        "running": (None, None),
    }


def test_a_trial_without_a_dice_has_no_rank(opened, runs):
    tracking = opened()
    end(tracking, result(state="stopped", reason="stopped after 1 of 2 epochs", dice=None))
    tags = runs()[1]["abc"].data.tags
    assert (tags["front"], "pareto_rank" in tags) == ("false", False)
    end(tracking, result())  # it was trained on
    assert runs()[1]["abc"].data.tags["pareto_rank"] == "1"
    late = {"state": "infeasible", "reason": "over budget, measured again", "dice": None}
    end(tracking, result(**late, dice_per_class={}))
    tags = runs()[1]["abc"].data.tags
    assert (tags["front"], "pareto_rank" in tags) == ("false", False)


def test_only_trials_whose_rank_changed_are_written(opened, monkeypatch, runs):
    tracking = opened()
    for number in (1, 2, 3):
        end(tracking, *LADDER[:number])
    names = {child.info.run_id: key for key, child in runs()[1].items()}
    written, log_batch = [], MlflowClient.log_batch

    def watched(self, run_id, metrics=(), params=(), tags=()):
        written.append(names.get(run_id))
        log_batch(self, run_id, metrics, params, tags)

    monkeypatch.setattr(MlflowClient, "log_batch", watched)
    # Between the first and the second in both: who is below moves down, who is above does not.
    end(tracking, *LADDER[:3], result("new", 3, dice=0.75, params=25_000))
    assert [name for name in written if name] == ["ghi"]


def test_the_hypervolume_grows_with_the_trials_that_ended(opened, runs, client):
    failed = result("bad", 1, state="infeasible", reason="NaN loss", dice=None, dice_per_class={})
    history = [result(dice=0.75, params=10_000), failed, result("def", 2, dice=0.8, params=10**6)]
    tracking = opened()
    for number in (1, 2, 3):
        end(tracking, *history[:number])
    parent = runs()[0][0].info.run_id

    def points():
        told = client.get_metric_history(parent, "hypervolume")
        return [(point.step, pytest.approx(point.value)) for point in told]

    # From 10^2 to 10^9 parameters are seven decades. A Dice of 0.75 over five of them; then, over
    # three of those, 0.05 more.
    first, last = 0.75 * 5 / 7, 0.75 * 5 / 7 + 0.05 * 3 / 7
    assert points() == [(1, first), (2, first), (3, last)]
    opened().sync(history)
    assert points() == [(1, first), (2, first), (3, last)]


def test_points_of_hypervolume_that_were_missed_are_made_up_for(opened, runs, client):
    tracking = opened()
    end(tracking, LADDER[2])
    tracking.sync(LADDER)
    parent = runs()[0][0].info.run_id
    told = client.get_metric_history(parent, "hypervolume")
    values = [point.value for point in told]
    assert [point.step for point in told] == [1, 2, 3, 4]
    assert values == sorted(values)


def test_hypervolumes_that_take_long_are_sent_in_parts(monkeypatch):
    seconds = iter(range(100))
    monkeypatch.setattr(search_run, "monotonic", lambda: 0.4 * next(seconds))
    points = [(step, 0.5) for step in range(1, 8)]
    parts = list(search_run._in_parts(points))
    assert [len(part) for part in parts] == [3, 3, 1]
    assert [point for part in parts for point in part] == points


@pytest.fixture
def front_files(store):
    """Front files in the search's own folder."""
    paths = [store / name for name in ("front.json", "front.csv", "front.html")]
    for path in paths:
        path.write_text("first")
    yield paths
    for path in paths:
        path.unlink()


def page(client, parent):
    names = [item.path for item in client.list_artifacts(parent)]
    if "front.html" not in names:
        return None
    return Path(client.download_artifacts(parent, "front.html")).read_text()


def test_the_front_is_shown_while_the_search_runs_and_not_at_every_end(
    opened, runs, client, front_files, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr(tracker.time, "monotonic", lambda: now[0])
    tracking = opened()
    parent = runs()[0][0].info.run_id
    assert page(client, parent) is None
    end(tracking, LADDER[0])
    assert page(client, parent) == "first"
    front_files[2].write_text("second")
    end(tracking, *LADDER[:2])
    tracking.tick()
    assert page(client, parent) == "first"
    now[0] += 61
    tracking.tick()
    assert page(client, parent) == "second"


def test_files_that_did_not_change_are_not_uploaded_again(opened, front_files, monkeypatch):
    sent, log_artifact = [], MlflowClient.log_artifact

    def watched(self, run, path, *folder):
        sent.append(Path(path).name)
        log_artifact(self, run, path, *folder)

    monkeypatch.setattr(MlflowClient, "log_artifact", watched)
    end(opened(), LADDER[0])
    resumed = opened()
    end(resumed, *LADDER[:2])
    resumed.finish(front_files[0].parent, {})
    assert [name for name in sent if name.startswith("front")] == [p.name for p in front_files]


def test_the_description_tells_the_front_and_leads_to_its_page(opened, runs, client):
    tracking = opened()
    tracking.sync(LADDER)
    tracking.finish(tracking.directory / "nothing", {})
    [parent], _ = runs()
    text = parent.data.tags["mlflow.note.content"]
    assert "4 candidates ended" in text
    assert "| jkl | 0.9000 | 9 k |" in text
    assert "| abc |" not in text
    assert f"runs/{parent.info.run_id}/artifacts/front.html" in text


def test_a_description_that_a_person_wrote_stays(opened, runs, client):
    tracking = opened()
    tracking.sync(LADDER[:1])
    tracking.finish(tracking.directory / "nothing", {})
    parent = runs()[0][0].info.run_id
    client.set_tag(parent, "mlflow.note.content", "For the paper.")
    tracking.sync(LADDER)
    tracking.finish(tracking.directory / "nothing", {})
    assert runs()[0][0].data.tags["mlflow.note.content"] == "For the paper."


def test_searches_of_one_name_are_told_apart_by_their_folders(store, client, tmp_path):
    config = TrackingConfig(uri=f"sqlite:///{store / 'mlflow.db'}", experiment="alike")
    folders = [tmp_path / name for name in ("one", "another", "moved")]
    for folder, search_id in zip(folders, ("1", "2", "2"), strict=True):
        track(config, folder, search_id=search_id)
    home = [client.get_experiment_by_name("alike").experiment_id]
    runs = client.search_runs(home)
    assert {run.info.run_name for run in runs} == {"demo"}
    tags = {run.data.tags["folder"] for run in runs}
    assert tags == {f"{gethostname()}:{folder}" for folder in (folders[0], folders[2])}
    assert len(client.search_runs(home, "tags.folder LIKE '%/moved'")) == 1


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


def test_only_a_server_has_a_link(opened, monkeypatch):
    tracking = opened()
    assert (tracking.local, tracking.link()) == (True, None)
    parent = tracking._runs.parent
    monkeypatch.setattr(tracking, "uri", "http://server:5000/")
    assert tracking.link() == (
        f"http://server:5000/#/experiments/{parent.experiment_id}/runs/{parent.run_id}"
        "/artifacts/front.html?workflowType=machine_learning"
    )


def test_the_runs_of_trials_are_told_with_the_address_of_a_server(opened, monkeypatch):
    tracking = opened()
    assert tracking.runs.ids == {}
    end(tracking, result())
    (run,) = tracking.runs.ids.values()
    assert tracking.runs.ids == {result().key: run}
    assert tracking.runs.address == ""  # no browser reads a file of sqlite
    monkeypatch.setattr(tracking, "uri", "https://user:secret@server/")
    experiment = tracking._runs.parent.experiment_id
    assert tracking.runs.address == f"https://server/#/experiments/{experiment}/runs/"


def test_they_are_found_on_a_server_once_the_search_has_ended(opened, request, monkeypatch):
    tracking = opened()
    end(tracking, result())
    monkeypatch.setattr(lookup, "store_uri", lambda *_: tracking.uri)  # in place of a server
    place = tracking.directory, request.node.name
    found = find_trial_runs(TrackingConfig(uri="https://user:secret@server/"), *place)
    experiment = tracking._runs.parent.experiment_id
    assert found == TrackedRuns(
        tracking.runs.ids, f"https://server/#/experiments/{experiment}/runs/"
    )
    assert find_trial_runs(TrackingConfig(), *place) == TrackedRuns()


def test_disabled_tracking_leaves_no_trace(tmp_path):
    config = TrackingConfig(enabled=False)
    tracking = track(config, tmp_path)
    end(tracking, result())
    tracking.finish(tmp_path, {})
    assert not tracking.local
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
        end(tracking, result())
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
        end(tracking, LADDER[0])
        end(tracking, *LADDER[:2])
    end(tracking, *LADDER[:3])
    children = runs()[1]
    assert {key: child.data.tags["front"] for key, child in children.items()} == {
        "abc": "true",
        "def": "false",
        "ghi": "false",
    }
    assert {child.info.status for child in children.values()} == {"FINISHED"}
    assert children["abc"].data.params["width"] == "16"


def test_one_result_that_is_refused_keeps_no_other_from_being_sent_in_the_end(
    opened, runs, monkeypatch, tmp_path
):
    monkeypatch.setattr(tracker, "PAUSE", 1e9)
    send = Runs.end
    monkeypatch.setattr(
        Runs, "end", lambda *a: _refused() if a[1].key == LADDER[0].key else send(*a)
    )
    tracking = opened()
    for count in (1, 2, 3):
        end(tracking, *LADDER[:count])
    tracking.finish(tmp_path, {})
    assert tracking.behind
    [parent], children = runs()
    assert set(children) == {one.key for one in LADDER[1:3]}
    assert {run.info.status for run in (parent, *children.values())} == {"FINISHED"}


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


def _refused(*args, **kwargs):
    raise ConnectionError("refused")
