import io
import json
import os
import signal
from collections import Counter
from contextlib import nullcontext

import pytest
import ray
from ray.cluster_utils import Cluster
from rich.console import Console

from nas import engine
from nas.admission import Admission
from nas.budget import Budget, Refusals
from nas.config import RunConfig
from nas.evaluation import Report
from nas.probe import Failure
from nas.search import run_search
from nas.session import HOPELESS, Session
from nas.study import Study
from nas.terminal import Screen, overview
from nas.tracking import Tracker, TrackingConfig
from tests.nas.probers import SaysProber, latency
from trainers.errors import UserError


def config(**changes):
    values = {
        "name": "test",
        "data": {"source": "phantom", "cases": 4, "shape": [24, 24, 24], "organs": 3},
        "space": {"restrict": {"width": [4], "levels": [3], "anchors": [0]}},
        "train": {"patch": [24, 24, 24], "epochs": 3, "steps_per_epoch": 2, "batch": 1},
        "latency": {"warmup": 0, "repeats": 3},
        "tracking": {"enabled": False},
    }
    return RunConfig.model_validate({**values, **changes})


@pytest.fixture
def session(tmp_path):
    """A session of two slots whose clock is `session.now`; nothing runs but what a test says."""

    def session(prober=None, **search):
        objectives = ["dice", "params", *(["latency_ms"] if prober else [])]
        run = config(search={"sampler": "random", **search}, objectives=objectives)
        study = Study.open(tmp_path, run, lambda a: {"params": 1000 * a.width, "macs": 10**6})
        admission = Admission(study, run.budget, prober)
        tracker = Tracker.open(
            TrackingConfig(enabled=False),
            tmp_path,
            name="",
            search_id="",
            config_yaml="",
            params={},
        )
        screen = Screen(Console(file=io.StringIO(), width=120))
        made = Session(study, run, tmp_path, 2, admission, tracker, screen, clock=lambda: made.now)
        made.now = 0.0
        return made

    return session


def report(epoch=3, **changes):
    values = {"epoch": epoch, "loss": 1.0, "seconds": 10.0, "dice": 0.5}
    return Report(**{**values, "curve": (0.5,) * epoch, "done": epoch == 3, **changes})


def test_as_many_trials_run_as_there_are_slots_and_are_wanted(session):
    run = session(trials=3)
    assert [run.start(name) is not None for name in "abc"] == [True, True, False]
    run.report("a", report())
    run.end("a")
    assert run.start("c") is not None
    run.report("b", report())
    run.end("b")
    assert run.start("d") is None
    assert not run.over
    run.report("c", report())
    run.end("c")
    assert run.over
    assert run.done == 3


def test_an_infeasible_trial_is_replaced(session):
    run = session(trials=1)
    run.start("a")
    run.report("a", report(epoch=1, done=True, reason="diverged: the loss is nan", dice=None))
    run.end("a")
    assert not run.over
    assert run.start("b") is not None
    (result,) = run.study.results
    assert (result.state, result.reason, result.dice) == (
        "infeasible",
        "diverged: the loss is nan",
        None,
    )
    assert (result.epochs, result.curve) == (1, (0.5,))
    assert run.members == []


def test_a_lost_worker_is_infeasible_and_keeps_no_dice(session):
    run = session(trials=1, retries=2)
    run.start("a")
    run.report("a", report(epoch=2))
    run.end("a", lost=True)
    (result,) = run.study.results
    assert (result.state, result.reason, result.dice) == ("infeasible", "worker lost 3 times", None)


def test_a_search_where_everything_fails_gives_up(session):
    run = session(trials=100)
    for number in range(HOPELESS):
        run.start(str(number))
        run.report(str(number), report(epoch=0, done=True, loss=None, reason="out of memory: 1 GB"))
        run.end(str(number))
    assert run.over
    assert "out of memory: 1 GB" in run.notice


def test_no_trial_starts_after_its_hours(session):
    run = session(trials=9, hours=1)
    run.start("a")
    run.now = 3600.0
    assert run.start("b") is None
    assert not run.over
    run.report("a", report())
    run.end("a")
    assert run.over


def test_the_share_of_training_counts_every_second_of_every_slot(session):
    """Two slots for 40 s; 10 s of training in one trial, 30 s in the other."""
    run = session(trials=2)
    run.start("a")
    run.start("b")
    run.now = 20.0
    run.report("a", report())
    run.end("a")
    for epoch in (1, 2, 3):
        run.report("b", report(epoch))
    run.now = 40.0
    run.end("b")
    run.now = 99.0
    summary = run.summary()
    assert (summary.slot_seconds, summary.worker_seconds, summary.train_seconds) == (80, 60, 40)
    assert summary.training_share == 0.5


def test_the_table_shows_what_runs_and_the_front(session):
    run = session(trials=4)
    done, running = run.start("a"), run.start("b")
    run.now = 75.0
    run.report("a", report(dice=0.8125))
    run.end("a")
    run.report("b", report(1))
    console = Console(file=io.StringIO(), width=120)
    console.print(overview(run))
    shown = console.file.getvalue()
    for text in (done.key, running.key, "1/4 trials", "0.8125", "1/3", "elapsed 1:15", "4,000"):
        assert text in shown


def test_what_was_under_way_when_ray_broke_down_is_started_again(session, monkeypatch, tmp_path):
    run = session(trials=1)
    started = []

    def fit(*_):
        started.append(run.start("a").key)
        if len(started) == 1:
            raise RuntimeError("the raylet died")
        run.report("a", report())
        run.end("a")

    monkeypatch.setattr(engine, "_fit", fit)
    monkeypatch.setattr(engine, "ray_running", lambda *_: nullcontext())
    assert engine.run_trials(run, tmp_path, tmp_path, "")
    assert started[0] == started[1]
    assert run.done == 1


def kill_workers(directory, trials, kills):
    """A real search; the n-th trial's worker is killed after each of its first `kills[n]` epochs.

    Returns (outcome, keys in the order of their first reports, reports, printed).
    """
    reports, keys = [], []
    heard = engine.SessionCallback.on_trial_result

    def listen(callback, iteration, trials, trial, result, **info):
        key, epoch = trial.config["key"], result["report"].epoch
        reports.append((key, epoch))
        heard(callback, iteration, trials, trial, result, **info)
        if key not in keys:
            keys.append(key)
        if epoch <= kills.get(keys.index(key), 0):
            os.kill(result["pid"], signal.SIGKILL)

    console = Console(file=io.StringIO(), width=200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.SessionCallback, "on_trial_result", listen)
        run = config(search={"trials": trials, "startup": 4, "retries": 1})
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
    """A search of three trials in which one worker was killed."""
    directory = tmp_path_factory.mktemp("search")
    return directory, *kill_workers(directory, 3, {0: 1})


def test_a_killed_worker_loses_no_trial(search):
    directory, outcome, keys, reports, _ = search
    results = told(directory)
    assert outcome.summary.trials == len(results) == 3
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
    assert "segnas export" in printed


def test_the_same_command_trains_nothing_again(search):
    directory = search[0]
    before = told(directory)
    run = config(search={"trials": 3, "startup": 4, "retries": 1})
    outcome = run_search(run, directory, Console(file=io.StringIO()))
    assert outcome.summary.trials == 3
    assert told(directory) == before


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
    for line in (directory / "journal.log").read_text().splitlines():
        for name, value in json.loads(line).get("user_attr", {}).items():
            if name.startswith("latency again: "):
                again[name.removeprefix("latency again: ")] = value
    assert {member.key for member in outcome.members} <= set(again)
    for member in outcome.members:
        assert member.latency_ms == again[member.key]["p50_ms"]
        assert first[member.key]["latency"]["conditions"] == member.latency["conditions"]
    assert "members of the front again, interleaved and idle" in printed


@pytest.mark.slow
def test_a_worker_killed_too_often_ends_its_trial_only(tmp_path):
    outcome, keys, _, printed = kill_workers(tmp_path, 3, {1: 2})
    assert f"{keys[1]}  infeasible: worker lost 2 times" in printed
    states = Counter(result["state"] for result in told(tmp_path).values())
    assert states == {"complete": 3, "infeasible": 1}
    assert keys[1] not in {member.key for member in outcome.members}


def test_an_interrupted_session_leaves_its_trials_for_the_next(session, monkeypatch, tmp_path):
    run = session(trials=2)
    monkeypatch.setattr(engine, "_fit", lambda *_: run.start("a"))
    monkeypatch.setattr(engine, "ray_running", lambda *_: nullcontext())
    assert not engine.run_trials(run, tmp_path, tmp_path, "")
    assert not run.running
    again = session(trials=2)
    assert again.study.results == []
    assert len({again.start("a").key, again.start("b").key}) == 2


def test_checkpoints_without_a_journal_are_refused(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match=r"no journal\.log"):
        run_search(config(), tmp_path, Console(file=io.StringIO()))


def test_the_next_candidate_is_measured_while_others_are_trained(session):
    prober = SaysProber(lambda architecture: latency(5.0))
    run = session(prober, trials=3)
    for name in "ab":
        assert run.start(name) is None  # asked for, and being measured
        assert run.start(name) is not None
    run.tick()
    run.tick()
    assert len(prober.sets) == 3
    assert run.start("c") is None  # no slot is free
    run.report("a", report())
    run.end("a")
    assert not run.over
    assert run.start("c").costs["latency_ms"] == 5.0
    run.tick()
    assert len(prober.sets) == 3  # and no more are wanted


def test_a_measured_candidate_that_comes_too_late_is_left_for_the_next_session(session):
    run = session(SaysProber(lambda architecture: latency(5.0)), trials=9, hours=1)
    run.start("a")
    run.start("a")
    run.tick()
    run.now = 3600.0
    assert run.start("b") is None
    run.report("a", report())
    run.end("a")
    assert run.over
    waiting = run._admission.pending.key
    run.requeue()
    assert run.study.ask().key == waiting


def test_the_limit_that_lets_nothing_through_is_said(session):
    run = session(None, trials=1)
    run.study._budget = Budget(params=10)
    run.study.refusals = Refusals(run.study._budget)
    assert run.start("a") is None
    assert "budget.params = 10 rules out 50 of 50" in run._screen._console.file.getvalue()


def test_networks_that_cannot_be_measured_end_the_search(session):
    run = session(SaysProber(lambda architecture: Failure("latency: no such backend")), trials=1)
    while not run.over:
        run.start("a")
    assert "no such backend" in run.notice
    assert len(run.study.results) == HOPELESS


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
