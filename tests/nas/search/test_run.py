import io
import json
import os
import re
import signal
from collections import Counter

import pytest
import ray
from ray.cluster_utils import Cluster
from rich.console import Console

from nas.engine import tune_adaptors as adaptors
from nas.search.notebook import open_search
from nas.search.run import run_search
from tests.nas.small_run import config
from trainers.errors import UserError


def kill_workers(directory, trials, kills, **search):
    """A real search; the n-th trial's worker is killed after each of its first `kills[n]` epochs.

    Returns (outcome, keys in the order of their first reports, reports, printed).
    """
    reports, keys = [], []
    heard = adaptors.SessionScheduler.on_trial_result

    def listen(scheduler, controller, trial, result):
        key, epoch = trial.config["key"], result["report"].epoch
        reports.append((key, epoch))
        decision = heard(scheduler, controller, trial, result)
        if key not in keys:
            keys.append(key)
        if epoch <= kills.get(keys.index(key), 0):
            os.kill(result["pid"], signal.SIGKILL)
        return decision

    console = Console(file=io.StringIO(), width=200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adaptors.SessionScheduler, "on_trial_result", listen)
        run = config(search={"trials": trials, "startup": 4, "retries": 1, **search})
        outcome = run_search(run, directory, console)
    return outcome, keys, reports, console.file.getvalue()


def told(directory):
    """The results in a journal, by key."""
    logs = map(json.loads, (directory / "journal.log").read_text().splitlines())
    results = [log["user_attr"]["result"] for log in logs if "result" in log.get("user_attr", {})]
    assert len({result["key"] for result in results}) == len(results)
    return {result["key"]: result for result in results}


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """A search of four trials with a baseline; workers of the first and the fourth were killed."""
    directory = tmp_path_factory.mktemp("search")
    return directory, *kill_workers(directory, 4, {0: 1, 3: 1}, baselines=["unet-s"])


def test_a_killed_worker_loses_no_trial(search):
    directory, outcome, keys, reports, _ = search
    results = told(directory)
    assert outcome.summary.trials == len(results) == 4
    assert {(r["state"], r["epochs"], len(r["curve"])) for r in results.values()} == {
        ("complete", 3, 3)
    }
    # Every epoch was trained once: a new worker goes on from the checkpoint.
    assert sorted(reports) == sorted((key, epoch) for key in keys for epoch in (1, 2, 3))


def test_a_search_leaves_its_front_summary_and_weights(search):
    directory, outcome, keys, _, printed = search
    front = json.loads((directory / "front.json").read_text())
    assert [m["key"] for m in front["members"]] == [m.key for m in outcome.members]
    summary = json.loads((directory / "summary.json").read_text())
    assert 0 < summary["training_share"] < 1
    assert {path.stem for path in (directory / "checkpoints").iterdir()} == set(keys)
    assert not (directory / "ray").exists()
    assert "Data: " in printed and "Ctrl-C once" in printed
    [(searching, whole)] = re.findall(r"in (\d+:\d\d) of searching, (\d+:\d\d) in all", printed)
    assert _seconds(searching) < _seconds(whole)  # Ray starts, data are prepared
    assert "segnas export" in printed


def _seconds(clock):
    minutes, seconds = clock.split(":")
    return 60 * int(minutes) + int(seconds)


def test_the_same_command_trains_nothing_again_and_starts_no_ray(search, monkeypatch):
    directory = search[0]
    before, front = told(directory), (directory / "front.json").read_text()
    monkeypatch.setattr(ray, "init", lambda **options: pytest.fail("Ray was started"))
    run = config(search={"trials": 4, "startup": 4, "retries": 1, "baselines": ["unet-s"]})
    outcome = run_search(run, directory, Console(file=io.StringIO()))
    assert outcome.summary.trials == 4
    assert (told(directory), (directory / "front.json").read_text()) == (before, front)


def test_other_data_under_a_journal_are_refused(search):
    data = {"source": "phantom", "cases": 5, "shape": [24, 24, 24], "organs": 3}
    with pytest.raises(UserError, match=r"data\.split\.training was"):
        run_search(config(data=data), search[0], Console(file=io.StringIO()))


def test_latencies_taken_otherwise_are_refused_under_a_journal(search):
    run = config(latency={"warmup": 0, "repeats": 3, "batch": 2})
    with pytest.raises(UserError, match=r"latency\.shape was \[1, 1, 24.* and is \[2, 1, 24"):
        run_search(run, search[0], Console(file=io.StringIO()))


def test_members_of_the_front_were_measured_again(search):
    directory, outcome, *_, printed = search
    first, again = told(directory), {}
    # No input decides what these networks compute: one window is a pass.
    assert not any(member.macs_bounds for member in outcome.members)
    for line in (directory / "journal.log").read_text().splitlines():
        for name, value in json.loads(line).get("user_attr", {}).items():
            if name.startswith("latency again: "):
                again[name.removeprefix("latency again: ")] = value
    assert {member.key for member in outcome.members} <= set(again)
    for member in outcome.members:
        assert member.costs["latency_ms"] == again[member.key]["p50_ms"]
        assert first[member.key]["latency"]["conditions"] == member.latency["conditions"]
        assert (first[member.key]["latency"].get("windows"), member.latency["windows"]) == (None, 1)
    assert "again, interleaved and idle" in printed


def test_a_baseline_is_trained_by_the_same_workers_and_stands_beside_the_front(search):
    directory, outcome, keys, reports, printed = search
    front = json.loads((directory / "front.json").read_text())
    [baseline] = front["baselines"]
    assert (baseline["baseline"], baseline["epochs"]) == ("unet-s", 3)
    assert outcome.summary.trials == len(keys) - 1 == 4
    assert baseline["key"] in keys[1:]
    assert baseline["key"] not in {member["key"] for member in front["members"]}
    assert {path.stem for path in (directory / "checkpoints").iterdir()} == set(keys)
    assert sorted(reports) == sorted((key, epoch) for key in keys for epoch in (1, 2, 3))
    assert "members of the front and 1 baseline beside it again" in printed
    assert f'"latency again: {baseline["key"]}"' in (directory / "journal.log").read_text()
    assert f"baseline unet-s  Dice {baseline['dice']:.4f}" in printed
    verdicts = ("better than every baseline at its cost: unet-s", "unet-s .* every network found")
    assert any(re.search(verdict, printed) for verdict in verdicts)


def test_a_baseline_is_exported_by_its_key_and_by_no_other_pick(search, tmp_path):
    search = open_search(search[0])
    [baseline] = search.baselines
    assert all(search.pick(name) in search.front for name in ("best-dice", "knee", "smallest"))
    assert search.pick(baseline.key) == baseline
    export = search.export(baseline, tmp_path / "out")
    assert export.segmenter().network is not None


@pytest.mark.slow
def test_a_worker_killed_too_often_ends_its_trial_only(tmp_path):
    outcome, keys, _, printed = kill_workers(tmp_path, 3, {1: 2}, confirm=0)
    assert f"{keys[1]}  infeasible: worker lost 2 times" in printed
    states = Counter(result["state"] for result in told(tmp_path).values())
    assert states == {"complete": 3, "infeasible": 1}
    assert keys[1] not in {member.key for member in outcome.members}


def test_checkpoints_without_a_journal_are_refused(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match=r"no journal\.log"):
        run_search(config(), tmp_path, Console(file=io.StringIO()))


@pytest.mark.slow
def test_a_search_measures_on_the_node_that_has_the_resources_named(tmp_path):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        cluster.add_node(num_cpus=0, resources={"bench": 1})
        ray.init(address=cluster.address, log_to_driver=False)
        latency = {"warmup": 0, "repeats": 3, "resources": {"bench": 1}}
        run = config(search={"trials": 2, "startup": 2}, latency=latency)
        outcome = run_search(run, tmp_path, Console(file=io.StringIO()))
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert outcome.summary.trials == 2
    assert all(member.latency["conditions"]["device"] for member in outcome.members)


def test_resources_that_no_node_has_are_refused(tmp_path):
    run = config(latency={"resources": {"bench": 1}})
    with pytest.raises(UserError, match=r"latency\.resources = \{bench: 1\}: no node"):
        run_search(run, tmp_path, Console(file=io.StringIO()))
    assert not ray.is_initialized()
