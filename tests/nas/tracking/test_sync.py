import io
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from nas.config.yaml_file import write_config
from nas.pareto.front import front
from nas.pareto.front_files import read_front
from nas.report.write_front import try_write_front, write_front
from nas.search.resync import sync_search
from nas.search.search_info import search_info
from nas.study.folder_lock import alone_in
from nas.study.stored_results import read_records
from nas.tracking import SyncReport, Tracker, store, tracker
from tests.nas.parts import open_study
from tests.nas.probers import latency
from tests.nas.results import search_record
from tests.nas.small_run import plain_run
from trainers.data.task import Task
from trainers.errors import UserError

EPOCHS = 5  # validated after 2, 4 and 5
CURVE = (0.2, 0.4, 0.5)


def config(**changes):
    values = {
        "space": {"restrict": {"levels": [3], "anchors": [0]}},
        "train": {"patch": [24, 24, 24], "epochs": EPOCHS, "validate_every": 2},
        "objectives": ["dice", "params"],
        "search": {"sampler": "random"},
    }
    return plain_run(**{**values, **changes})


@pytest.fixture(scope="module")
def made_store(tmp_path_factory):
    """A new sqlite store, which takes seconds to make."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    store.prepare_mlflow()
    store.make_store(path)
    return path


@pytest.fixture
def directory(tmp_path, made_store):
    """The folder of a search before its first candidate."""
    folder = tmp_path / "a search"
    folder.mkdir()
    shutil.copy(made_store, folder / "mlflow.db")
    return folder


class Driver:
    """A search in `directory`, of candidates that are trained by hand."""

    def __init__(self, directory, **changes):
        self.directory, self.config = directory, config(**changes)
        self.study = open_study(directory, self.config, lambda _: {"params": 1000})
        write_config(self.config, directory / "config.yaml")
        task = {"channels": 1, "classes": ("background", "organ"), "spacing": None}
        Task(**task, patch=(24, 24, 24)).write(directory)
        self.tracker = Tracker(
            self.config.tracking, directory, search_info(self.config, self.study.id)
        )  # fmt: skip
        self.opening = self.sync()

    def sync(self):
        return self.tracker.sync(self.study.results)

    def train(self, epochs=EPOCHS):
        """Ask for a candidate and report its epochs, those that are validated with a Dice."""
        candidate = self.study.ask()
        dice = dict(zip((2, 4, 5), CURVE, strict=True))
        for epoch in range(1, epochs + 1):
            values = {"loss": 1.0 / epoch, **({"dice": dice[epoch]} if epoch in dice else {})}
            architecture = candidate.architecture.to_json()
            self.tracker.trial_epoch(
                candidate.key, candidate.number, architecture, epoch, values
            )  # fmt: skip
        return candidate

    def tell(self, candidate, upload=True):
        result = candidate.result(
            state="complete", dice=CURVE[-1], epochs=EPOCHS, curve=CURVE, train_seconds=3.0
        )  # fmt: skip
        self.study.tell(result)
        if upload:
            self.tracker.trial_end(result, self.study.results)
        return result


def held(uri):
    """All that the runs of a store hold, of one search: by key, the parent's under ''."""
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("segnas").experiment_id])
    keys = [run.data.tags.get("segnas.key", "") for run in runs]
    assert len(set(keys)) == len(keys), "a run is there twice"
    return {
        key: {
            "status": run.info.status,
            "params": run.data.params,
            "tags": run.data.tags,
            "points": sorted(
                (name, point.step, point.value)
                for name in run.data.metrics
                for point in client.get_metric_history(run.info.run_id, name)
            ),
        }
        for key, run in zip(keys, runs, strict=True)
    }


def local(directory):
    return held(f"sqlite:///{directory / 'mlflow.db'}")


def curve(run):
    return [point[1:] for point in run["points"] if point[0] == "epoch/dice"]


def sync(directory):
    """The exit status of the command and what it said."""
    text = io.StringIO()
    status = sync_search(directory, Console(file=text, width=200))
    return status, text.getvalue()


@contextmanager
def files_limited_to(size):
    """No file of this process can grow over `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def killed(run):
    """Run in a copy of this process, which is to end by kill -9."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_kill_left_unsent_is_sent_at_the_opening_and_once(directory):
    def search():
        driver = Driver(directory)
        driver.tell(driver.train())
        lost = driver.train()
        driver.train(epochs=1)
        driver.tracker.trial_end = die
        driver.tell(lost)

    killed(search)
    before = local(directory)
    statuses = sorted(run["status"] for run in before.values())
    assert statuses == ["FINISHED", "RUNNING", "RUNNING", "RUNNING"]
    resumed = Driver(directory)
    assert resumed.opening == SyncReport(completed=1, killed=1)
    after = local(directory)
    assert after.keys() == before.keys()
    for result in resumed.study.results:
        run = after[result.key]
        assert (run["status"], run["tags"]["state"]) == ("FINISHED", "complete")
        assert curve(run) == [(2, 0.2), (4, 0.4), (5, 0.5)]
        assert ("dice", 5, 0.5) in run["points"]
    assert resumed.sync() == SyncReport()
    assert local(directory) == after
    again = resumed.train()
    resumed.tell(again)
    final = local(directory)
    assert final.keys() == before.keys()
    assert final[again.key]["status"] == "FINISHED"
    assert [p[1] for p in final[again.key]["points"] if p[0] == "epoch/loss"] == [1, 2, 3, 4, 5]


def test_the_command_sends_what_is_missing_and_then_says_that_nothing_is(directory):
    driver = Driver(directory)
    whole, lost = driver.tell(driver.train()), driver.tell(driver.train(epochs=3), upload=False)
    never = driver.tell(driver.study.ask(), upload=False)
    status, said = sync(directory)
    assert status == 0
    assert "3 results, 3 on the front" in said
    assert "1 run made, 1 run completed, 5 epochs added" in said
    runs = local(directory)
    assert runs[""]["status"] == "KILLED"
    for result in (whole, lost, never):
        assert curve(runs[result.key]) == [(2, 0.2), (4, 0.4), (5, 0.5)]
    assert {path.name for path in directory.glob("front.*")} == {
        "front.json", "front.csv", "front.html"
    }  # fmt: skip
    status, said = sync(directory)
    assert (status, said.splitlines()[-1]) == (0, "MLflow: nothing was missing")
    assert local(directory) == runs


def test_a_search_whose_end_met_no_server_is_closed_by_the_command(directory):
    Driver(directory)
    length = (directory / "journal.log").stat().st_size
    told = {"trials": 7, "best": None, "status": "FINISHED", "journal_bytes": length}
    (directory / "summary.json").write_text(json.dumps(told))
    os.utime(directory / "summary.json", (0, 0))  # the clock may have been set meanwhile
    status, said = sync(directory)
    assert status == 0
    assert "brought up to date" in said
    parent = local(directory)[""]
    assert parent["status"] == "FINISHED"
    assert parent["points"] == [("trials", 0, 7.0)]
    assert "nothing was missing" in sync(directory)[1]
    Driver(directory)  # goes on and dies: what it wrote when it ended before is old
    sync(directory)
    assert local(directory)[""]["status"] == "KILLED"


def test_a_server_that_is_still_away_is_one_line_and_not_done(directory, caplog):
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        uri = f"http://me:secret@127.0.0.1:{unheard.getsockname()[1]}"
        Driver(directory, tracking={"uri": uri})
        caplog.clear()
        status, said = sync(directory)
    assert status == 1
    [line] = [line for line in said.splitlines() if "MLflow" in line]
    assert "lacks" in line
    assert "secret" not in said
    assert not caplog.records
    assert (directory / "front.json").exists()


def test_a_folder_that_is_no_search_is_refused_and_left_as_it_is(tmp_path):
    with pytest.raises(UserError, match=r"no search: journal\.log is missing"):
        sync(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_being_searched_is_refused(directory):
    Driver(directory)
    with alone_in(directory), pytest.raises(UserError, match="another search is running"):
        sync(directory)


def test_the_records_are_those_of_the_study(directory):
    driver = Driver(directory, objectives=["dice", "latency_ms"], budget={"latency_ms": 3})
    slow, fast, stopped = (driver.study.ask() for _ in range(3))
    for candidate in (slow, fast):
        driver.tell(candidate.with_latency(latency(1.0)), upload=False)
    driver.study.tell(
        stopped.result(state="stopped", reason="stopped after 2 of 5 epochs", epochs=2)
    )
    driver.study.revise(slow.key, latency(4.0))
    driver.study.revise(fast.key, latency(2.0))
    records = read_records(directory, "hybrid", driver.config.budget)
    assert records.id == driver.study.id
    assert records.results == driver.study.results
    assert [r.state for r in records.results] == ["infeasible", "complete", "stopped"]


def test_a_full_disk_ends_no_tracking_for_good(directory, caplog):
    driver = Driver(directory)
    with files_limited_to(100_000):  # the store is larger, the journal is not
        result = driver.tell(driver.train())
        assert driver.tracker.behind
    [record] = [record for record in caplog.records if record.name == "segnas.tracking"]
    assert "segnas sync" in record.getMessage()
    driver.tracker.finish(directory, {})
    assert not driver.tracker.behind
    assert curve(local(directory)[result.key]) == [(2, 0.2), (4, 0.4), (5, 0.5)]


def test_front_files_on_a_full_disk_stay_as_they_were(directory):
    driver = Driver(directory, tracking={"enabled": False})
    record = search_record([])
    write_front(directory, record)
    before = {path.name: path.read_bytes() for path in directory.glob("*front*")}
    driver.tell(driver.study.ask())
    record = replace(record, results=driver.study.results)
    with files_limited_to(20_000), pytest.warns(UserWarning, match="tried again") as warned:
        try_write_front(directory, record)  # the page is larger, the others are not
        try_write_front(directory, record)
    assert len(warned) == 2  # which Python's own filter shows once:
    assert len({(str(w.message), w.filename, w.lineno) for w in warned}) == 1
    assert {path.name: path.read_bytes() for path in directory.glob("*front*")} == before
    try_write_front(directory, record)
    assert (directory / "front.json").read_bytes() != before["front.json"]
    written = [member.key for member in read_front(directory).members]
    assert written == [m.key for m in front(driver.study.results, driver.config.objectives)]


def test_a_store_that_a_kill_left_half_made_is_made_again(tmp_path, monkeypatch):
    (tmp_path / ".mlflow-0123.db").write_text("half of a store")
    made = []
    monkeypatch.setattr(
        MlflowClient, "__init__", lambda self, uri: made.append(uri.removeprefix("sqlite:///"))
    )

    def build(self, _):
        Path(made[-1]).write_text("a store")

    monkeypatch.setattr(MlflowClient, "get_experiment", build)
    store.make_store(tmp_path / "mlflow.db")
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert made[0] != str(tmp_path / "mlflow.db")


@contextmanager
def server(directory, port):
    """A real MLflow server over a sqlite store in `directory`, once it answers."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{directory / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(directory / "artifacts")]
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                assert process.poll() is None, (directory / "server.log").read_text()
                time.sleep(0.5)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_server_that_is_away_for_a_while_has_everything_in_the_end(directory, monkeypatch):
    monkeypatch.setattr(tracker, "PAUSE", 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    with server(directory, port):
        driver = Driver(directory, tracking={"uri": uri})
        results = [driver.tell(driver.train())]
        cut = driver.train(epochs=2)
    results.append(driver.tell(cut))  # its other epochs and its end meet no server
    results.append(driver.tell(driver.train()))
    assert driver.tracker.behind
    assert sync(directory)[0] == 1
    with server(directory, port):
        results.append(driver.tell(driver.train()))  # the driver finds the server again
        assert not driver.tracker.behind
        results.append(driver.tell(driver.train(epochs=1), upload=False))
        status, said = sync(directory)
        assert (status, "1 run completed, 3 epochs added" in said) == (0, True)
        runs = held(uri)
        assert runs.keys() == {"", *(result.key for result in results)}
        for result in results:
            assert runs[result.key]["status"] == "FINISHED"
            assert curve(runs[result.key]) == [(2, 0.2), (4, 0.4), (5, 0.5)]
        assert "nothing was missing" in sync(directory)[1]
        assert held(uri) == runs
