import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from math import inf
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from nas.config.resources import Resources
from nas.engine import tune_run as engine
from nas.engine.cluster import Cluster
from nas.engine.interrupt import interruptible
from nas.engine.trial_worker import WorkerSettings
from nas.engine.tune_adaptors import SessionScheduler, SessionSearcher, SessionTicker
from trainers import signals
from trainers.errors import UserError
from trainers.signals import SIGNALS, starting_processes

from .workers import Counting


def run_trials(session, cluster, folder, *worker):
    """`run_trials` whose workers need a folder and nothing else."""
    settings = WorkerSettings(
        directory=folder, volumes=folder, machine_lock="lock", evaluator=None, stall_minutes=1.0
    )
    return engine.run_trials(session, cluster, settings, *worker)


class Script:
    """A session of trials a, b, c, ...; `stops` says after which epoch one is stopped."""

    def __init__(self, names, slots=1, retries=1, stops=None):
        self.resources = Resources(concurrent=slots)
        self.retries = retries
        self.slots, self.stops = slots, stops or {}
        self.waiting, self.running, self.interrupted = list(names), {}, False
        self.reports, self.ends, self.said, self.requeued = [], [], [], 0
        self.lost, self.losses, self.causes = [], Counter(), []

    @property
    def over(self):
        return not self.running and (self.interrupted or not (self.waiting or self.lost))

    def start(self, trial_id):
        self.waiting, self.lost = self.lost + self.waiting, []
        if not self.waiting or self.interrupted or len(self.running) >= self.slots:
            return None
        key = self.waiting.pop(0)
        candidate = SimpleNamespace(key=key, name=key, record={}, seed=None)
        self.running[trial_id] = SimpleNamespace(candidate=candidate)
        return candidate

    def report(self, trial_id, report):
        key = self.running[trial_id].candidate.key
        self.reports.append((key, report.epoch, report.pid))
        return not report.done and report.epoch != self.stops.get(key)

    def on_worker_lost(self, trial_id, counts, cause=None):
        key = self.running[trial_id].candidate.key
        self.causes.append(cause)
        self.losses[key] += counts
        if self.losses[key] > self.retries:
            self.end(trial_id, lost=True)
        else:
            del self.running[trial_id]
            self.lost.append(key)

    def end(self, trial_id, lost=False):
        self.ends.append((self.running.pop(trial_id).candidate.key, lost))

    def requeue(self):
        self.requeued += 1
        self.waiting = [r.candidate.key for r in self.running.values()] + self.lost + self.waiting
        self.running.clear()
        self.lost.clear()

    def interrupt(self):
        self.interrupted = True

    def say(self, text):
        self.said.append(text)

    def tick(self):
        pass


class Here:
    """A cluster that is always there."""

    here, driver_node, stops = True, "here", 0

    def loses_a_node(self):
        return False

    def start(self):
        pass

    def check(self, directory):
        pass

    def stop(self):
        self.stops += 1


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Three trials in one slot of a real Ray; b is stopped after its second epoch."""
    folder = tmp_path_factory.mktemp("engine")
    session = Script("abc", stops={"b": 2})
    with Cluster(session.resources) as cluster:
        finished = run_trials(session, cluster, folder, Counting)
    return session, finished, folder


def test_every_report_reaches_the_session_once_and_its_word_stops_a_trial(stopped):
    session, finished, folder = stopped
    assert finished
    assert [(key, epoch) for key, epoch, _ in session.reports] == [
        *(("a", epoch) for epoch in (1, 2, 3, 4)),
        *(("b", epoch) for epoch in (1, 2)),
        *(("c", epoch) for epoch in (1, 2, 3, 4)),
    ]
    assert session.ends == [("a", False), ("b", False), ("c", False)]
    assert not (folder / "ray").exists()


def test_the_worker_of_a_stopped_trial_takes_the_next(stopped):
    assert len({pid for _, _, pid in stopped[0].reports}) == 1


def test_copies_of_what_ray_holds_have_no_session():
    session = Script("a")
    held = (
        SessionSearcher(session, Here(), {}),
        SessionScheduler(session),
        SessionTicker(session, Here()),
    )
    for copy in pickle.loads(pickle.dumps(held)):
        assert not {"session", "cluster"} & set(vars(copy))


TASK = """Failure # 1 (occurred at 2026-01-01_00-00-00)
ray::Counting.train() (pid=1, ip=127.0.0.1, actor_id=ab, repr=<tests.Counting object at 0x7f>)
  File "ray/tune/trainable/trainable.py", line 331, in train
    raise skipped from exception_cause(skipped)
  File "worker.py", line 3, in step
    self.volumes["liver"]
    ~~~~~~~~~~~~^^^^^^^^^
KeyError: 'liver'
"""
SETUP = TASK.replace(
    "ray::", "The actor died because of an error raised in its creation task, ray::"
)
DEATH = """Failure # 1 (occurred at 2026-01-01_00-00-00)
The actor died unexpectedly before finishing this task.
\tclass_name: Counting
"""
MEMORY = """Failure # 1 (occurred at 2026-01-01_00-00-00)
1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 10.0.0.2, \
ID: 9a) was 15.20GB used / 16.00GB limit (0.950000)
OOM kill reason: Memory usage 16320875725B exceeded threshold of 16320875724B (95.0% of 1B limit)
"""
KILLED = "its machine ran low on memory, 15.20GB used / 16.00GB, and Ray killed it"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        pytest.param(TASK, "KeyError: 'liver'", id="step"),
        pytest.param(SETUP, "KeyError: 'liver'", id="setup"),
        pytest.param(MEMORY, KILLED, id="memory"),
        pytest.param(DEATH, None, id="death"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_the_session_is_told_why_a_worker_was_lost(tmp_path, text, cause):
    session, file = Script("a"), tmp_path / "error.txt"
    if text:
        file.write_text(text)
    scheduler = SessionScheduler(session)
    searcher = SessionSearcher(session, Here(), scheduler.failures)
    assert searcher.suggest("a")
    scheduler.on_trial_error(None, SimpleNamespace(trial_id="a", error_file=str(file)))
    searcher.on_trial_complete("a", error=True)  # in this order, as Ray does
    assert session.causes == [cause] and session.lost == ["a"]


def broken_run(session, monkeypatch, tmp_path, epochs_before):
    """Run trials by an engine that breaks down always, after so many epochs of its first trial."""

    def fit(session, callback, *_):
        for name in ("x", "y"):
            session.start(name)
        for number in range(epochs_before):
            callback.reported.add("x")
            session.reports.append(("x", number, 0))
        if len(session.reports) < 10:
            raise RuntimeError("the raylet died")
        for trial_id in list(session.running):
            session.end(trial_id)

    cluster = Here()
    monkeypatch.setattr(engine, "_fit", fit)
    return run_trials(session, cluster, tmp_path), cluster


def test_breakdowns_without_progress_are_bounded(monkeypatch, tmp_path):
    session = Script("ab", slots=2, retries=100)
    with pytest.raises(RuntimeError, match="the raylet died"):
        broken_run(session, monkeypatch, tmp_path, 0)
    assert len(session.said) == engine.RESTARTS
    assert session.waiting == ["a", "b"]  # for the next start


def test_breakdowns_with_progress_are_not_and_blame_who_made_none(monkeypatch, tmp_path):
    """Ten epochs, one before each breakdown: nine breakdowns. With one retry, the second blames y's
    candidate for good; x's makes progress each time, and so is never blamed."""
    session = Script("ab", slots=2, retries=1)
    finished, cluster = broken_run(session, monkeypatch, tmp_path, 1)
    assert finished
    assert cluster.stops == 9 > engine.RESTARTS
    assert session.ends == [("b", True), ("a", False)]


def test_bad_settings_do_not_start_ray_again(monkeypatch, tmp_path):
    def fit(*_):
        raise UserError("latency: no such device")

    monkeypatch.setattr(engine, "_fit", fit)
    cluster = Here()
    with pytest.raises(UserError, match="no such device"):
        run_trials(Script("a"), cluster, tmp_path)
    assert cluster.stops == 0


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_interrupts_the_session_and_the_second_the_block(number, monkeypatch):
    if signal.getsignal(number) is signal.SIG_IGN:  # as SIGHUP is under nohup
        pytest.skip("these tests were started to ignore it")
    before = signal.getsignal(number)
    session = Script("a")
    monkeypatch.setattr(signals, "_last_heard", -inf)
    monkeypatch.setattr(signals, "AT_ONCE", 0.02)
    with interruptible(session):
        assert not session.interrupted
        os.kill(os.getpid(), number)
        assert session.interrupted
        time.sleep(0.05)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_hangup_that_is_ignored_as_under_nohup_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        session = Script("a")
        with interruptible(session):
            os.kill(os.getpid(), signal.SIGHUP)
        assert not session.interrupted
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_processes_that_are_started_for_a_command_hear_no_hangup_of_the_terminal():
    with starting_processes():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child.send_signal(signal.SIGHUP)
    child.communicate(b"\n", timeout=60)
    assert child.returncode == 0


def test_signals_that_come_at_once_are_one(monkeypatch):
    session = Script("a")
    monkeypatch.setattr(signals, "_last_heard", -inf)
    monkeypatch.setattr(signals, "AT_ONCE", 60.0)
    with interruptible(session):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert session.interrupted


def test_a_second_signal_ends_the_run_and_its_trials_are_kept(monkeypatch, tmp_path):
    def fit(session, *_):
        session.start("x")
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "_fit", fit)
    session = Script("a")
    assert not run_trials(session, Here(), tmp_path)
    assert session.waiting == ["a"]


def test_a_second_signal_leaves_no_records_of_ray(monkeypatch, tmp_path):
    class Tuner:
        def __init__(self, *_, run_config, **__):
            self.records = Path(run_config.storage_path, run_config.name)

        def fit(self):
            self.records.mkdir(parents=True)
            raise KeyboardInterrupt

    monkeypatch.setattr(engine.tune, "Tuner", Tuner)
    monkeypatch.setattr(Here, "requested", Resources(), raising=False)
    assert not run_trials(Script("a"), Here(), tmp_path, Counting)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_workers_raise_reaches_the_session_through_ray(tmp_path):
    (tmp_path / "broken-a").write_text("step")
    (tmp_path / "broken-b").write_text("setup")
    session = Script("ab", retries=0)
    with Cluster(session.resources) as cluster:
        assert run_trials(session, cluster, tmp_path, Counting)
    assert session.ends == [("a", True), ("b", True)]
    assert session.causes == ["KeyError: 'step'", "KeyError: 'setup'"]


@pytest.mark.slow
def test_a_worker_killed_by_rays_memory_monitor_ends_its_trial_only(tmp_path, monkeypatch):
    """The real monitor: trial b takes a tenth of the memory, and the limit is 6% above the use."""
    memory = psutil.virtual_memory()
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "50")
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{memory.percent / 100 + 0.06:.3f}")
    (tmp_path / "hungry-b").touch()
    (tmp_path / "bytes").write_text(str(int(memory.total * 0.1)))
    session = Script("abc", retries=1)
    with Cluster(session.resources) as cluster:
        assert run_trials(session, cluster, tmp_path, Counting)
    assert session.ends == [("a", False), ("b", True), ("c", False)]
    assert session.said == []  # no breakdown
    assert len(session.causes) == 2 and all("low on memory" in cause for cause in session.causes)


class KillsRay(Script):
    """Ends Ray's one node with the first report; the next trial waits until Ray is said to fail."""

    def __init__(self, names, waits):
        super().__init__(names)
        self.waits = waits
        waits.touch()

    def report(self, trial_id, report):
        if not self.reports:
            for process in psutil.Process().children(recursive=True):
                if "raylet" in process.name():
                    process.kill()
        return super().report(trial_id, report)

    def say(self, text):
        super().say(text)
        self.waits.unlink()


@pytest.mark.slow
def test_ray_is_started_again_where_its_one_node_dies(tmp_path):
    (tmp_path / "bytes").write_text("1")
    session = KillsRay("ab", tmp_path / "hungry-b")
    with Cluster(session.resources) as cluster:
        assert run_trials(session, cluster, tmp_path, Counting)
    assert sorted(session.ends) == [("a", False), ("b", False)]
    assert session.said == ["Ray failed and is started again: its node on this machine died"]
