"""Stores and servers that do not answer: given up within seconds, told once, made up for later."""

import logging
import shutil
import socket
import sqlite3
import sys
import threading
import time
from contextlib import closing, contextmanager

import pytest
from mlflow import MlflowClient

from nas.cli.main import main
from nas.tracking import lookup, mlflow_private, store, timed_calls, tracker
from tests.nas.small_search import FRONT, ended_search
from tests.nas.tracking.test_sync import Driver, curve, files_limited_to, local, made_store, sync
from tests.slow import and_slow

__all__ = ["made_store"]  # a fixture
OPENING, CLOSING = 4.0, 6.0  # seconds, of the `short` waits and on a busy machine


@contextmanager
def listening(talk):
    """The address of a server that does `talk` with each connection and never answers."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(50)

        def accept():
            while True:
                try:
                    caller, _ = door.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(caller,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


def swallow(caller):
    """A black hole."""
    while caller.recv(65536):
        pass


def drip(caller):
    """An answer of a byte every two seconds: no read of it ever times out."""
    try:
        caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            caller.sendall(b"x")
            time.sleep(2)
    except OSError:
        pass


@pytest.fixture(params=and_slow(["black hole", "refused", "no such host"], ["drip"]))
def silent(request):
    """The address of a server that gives no answer."""
    if request.param == "refused":
        with socket.socket() as unheard:
            unheard.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{unheard.getsockname()[1]}"
    elif request.param == "no such host":
        yield "http://mlflow.invalid:5000"
    else:
        with listening(swallow if request.param == "black hole" else drip) as uri:
            yield uri


@pytest.fixture
def directory(tmp_path, made_store):
    folder = tmp_path / "search"
    folder.mkdir()
    shutil.copy(made_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def short(monkeypatch):
    """Waits of one and two seconds."""
    monkeypatch.setattr(tracker, "HOLD", 1.0, raising=False)
    monkeypatch.setattr(tracker, "SILENCE", 2.0, raising=False)
    monkeypatch.setattr(lookup, "HOLD", 1.0, raising=False)
    monkeypatch.setattr(mlflow_private, "LOCKED", 0.5, raising=False)
    monkeypatch.setattr(store, "LOCKED", 0.5, raising=False)


def test_the_waits_are_seconds():
    assert timed_calls.HOLD <= 5
    assert timed_calls.SILENCE <= 10
    assert mlflow_private.LOCKED <= timed_calls.HOLD


def seconds(call, *arguments):
    """How long it takes."""
    began = time.monotonic()
    call(*arguments)
    return time.monotonic() - began


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "segnas.tracking"]


def test_a_search_is_held_up_for_seconds_in_all_and_says_so_once(silent, short, directory, caplog):
    Driver(directory, tracking={"enabled": False}).train()  # what a resumed search owes
    caplog.set_level(logging.WARNING)
    opening = time.monotonic()
    driver = Driver(directory, tracking={"uri": silent})
    assert time.monotonic() - opening < OPENING
    assert seconds(lambda: driver.tell(driver.train())) < 1.0  # the store is left alone
    assert seconds(driver.tracker.finish, directory, {}) < CLOSING
    assert driver.tracker.behind
    [said] = warnings_of(caplog)
    assert f"MLflow at {silent} failed: " in said
    assert "segnas sync" in said


def test_a_large_page_has_the_time_that_it_takes_and_the_run_has_ended_before(
    short, directory, monkeypatch
):
    log_artifact, status = MlflowClient.log_artifact, []

    def slow(self, run, path, *folder):
        if path.endswith("front.html"):
            time.sleep(3.0)  # longer than a silence
            status.append(self.get_run(run).info.status)
        log_artifact(self, run, path, *folder)

    driver = Driver(directory)
    driver.tell(driver.train())
    (directory / "front.html").write_text("x" * 1000)
    monkeypatch.setattr(timed_calls, "SENT", 100)
    monkeypatch.setattr(MlflowClient, "log_artifact", slow)
    driver.tracker.finish(directory, {})
    assert status == ["FINISHED"] and not driver.tracker.behind


def test_a_database_without_its_driver_is_a_store_that_fails(short, directory, caplog, monkeypatch):
    for driver in ("psycopg2", "psycopg"):
        monkeypatch.setitem(sys.modules, driver, None)
    caplog.set_level(logging.WARNING)
    driver = Driver(directory, tracking={"uri": "postgresql://me:word@127.0.0.1:1/mlflow"})
    driver.tell(driver.train())
    driver.tracker.finish(directory, {})
    assert driver.tracker.behind
    [said] = warnings_of(caplog)
    assert "MLflow at postgresql://127.0.0.1:1/mlflow failed: " in said
    assert "psycopg" in said


def test_every_command_that_asks_gives_up_and_tells_on_one_line(
    silent, short, tmp_path, capsys, monkeypatch
):
    ended_search(tmp_path, tracking={"uri": silent})
    began = time.monotonic()
    status, said = sync(tmp_path)
    assert time.monotonic() - began < CLOSING
    assert (status, len([line for line in said.splitlines() if "MLflow" in line])) == (1, 1)
    assert f"{len(FRONT)} on the front" in said
    export = ["export", str(tmp_path), "--pick", "best-dice", "--to", str(tmp_path / "out")]
    for command in (["ui", str(tmp_path)], [*export, "--register", "model"]):
        began = time.monotonic()
        assert main(command) == 2
        assert time.monotonic() - began < OPENING
        [line] = capsys.readouterr().err.strip().splitlines()
        assert f"MLflow at {silent} failed: " in line
    assert not (tmp_path / "out").exists()


@contextmanager
def locked(path, mode):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"BEGIN {mode}")
        yield


@contextmanager
def no_database(path):
    content = path.read_bytes()
    path.write_text("no database, but a note that somebody wrote" * 100)
    yield
    path.write_bytes(content)


@contextmanager
def folder_in_its_place(path):
    aside = path.rename(path.with_name("aside"))
    path.mkdir()
    yield
    path.rmdir()
    aside.rename(path)


STORES = {
    "locked for reading": lambda path: locked(path, "EXCLUSIVE"),
    "locked for writing": lambda path: locked(path, "IMMEDIATE"),
    "a full disk": lambda path: files_limited_to(100_000),
    "no database": no_database,
    "a folder": folder_in_its_place,
}


@pytest.mark.parametrize("fault", STORES)
def test_a_local_store_that_fails_is_given_up_and_made_up_for(fault, short, directory, caplog):
    caplog.set_level(logging.WARNING)
    with STORES[fault](directory / "mlflow.db"):
        opening = time.monotonic()
        driver = Driver(directory)
        assert time.monotonic() - opening < OPENING
        began = time.monotonic()
        result = driver.tell(driver.train())
        assert time.monotonic() - began < OPENING
        assert seconds(driver.tracker.finish, directory, {}) < CLOSING
        assert driver.tracker.behind
        assert len(warnings_of(caplog)) == 1
        status, said = sync(directory)
        assert (status, "MLflow lacks the rest, for it failed: " in said) == (1, True)
    assert sync(directory)[0] == 0
    assert curve(local(directory)[result.key]) == [(2, 0.2), (4, 0.4), (5, 0.5)]
    assert "nothing was missing" in sync(directory)[1]


def test_a_slow_store_is_written_behind_the_back_of_the_search(directory, monkeypatch, caplog):
    """Each answer takes 0.3 s: a search does not wait for the dozens that its records take."""
    from nas.tracking.timed_calls import HeardClient

    monkeypatch.setattr(tracker, "HOLD", 2.0)  # an answer may be late by that of a busy disk
    ask = HeardClient.__getattr__
    monkeypatch.setattr(
        HeardClient,
        "__getattr__",
        lambda self, name: lambda *a, **o: (time.sleep(0.3), ask(self, name)(*a, **o))[1],
    )
    opening = time.monotonic()
    driver = Driver(directory)
    assert time.monotonic() - opening < 4.0
    results = [driver.tell(driver.train()) for _ in range(2)]
    assert driver.tracker.behind
    driver.tracker.finish(directory, {})  # which is as patient as there are answers
    assert not driver.tracker.behind
    assert not warnings_of(caplog)
    runs = local(directory)
    for result in results:
        assert curve(runs[result.key]) == [(2, 0.2), (4, 0.4), (5, 0.5)]


def test_a_report_that_fails_behind_the_back_of_the_search_ends_nothing(
    directory, monkeypatch, caplog
):
    driver = Driver(directory)
    candidate = driver.train()
    log_batch, calls = MlflowClient.log_batch, []

    def fail_late(*arguments):
        calls.append(1)
        time.sleep(0.5 * len(calls))
        if len(calls) > 1:
            raise ConnectionError("refused")
        log_batch(*arguments)

    monkeypatch.setattr(tracker, "HOLD", 0.7)
    with monkeypatch.context() as fault:
        fault.setattr(MlflowClient, "log_batch", fail_late)
        result = driver.tell(candidate)  # not waited for, since there was an answer
        while len(calls) < 2:
            time.sleep(0.01)
    driver.tracker.finish(directory, {})
    assert not driver.tracker.behind
    assert not warnings_of(caplog)
    runs = local(directory)
    assert [runs[key]["status"] for key in ("", result.key)] == ["FINISHED"] * 2
    assert curve(runs[result.key]) == [(2, 0.2), (4, 0.4), (5, 0.5)]
