"""The machine lock, between real processes."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from fcntl import LOCK_NB, LOCK_SH, LOCK_UN, flock
from pathlib import Path
from time import monotonic, sleep

import pytest

from nas.cost.latency_probe import machine_lock
from nas.cost.latency_probe.machine_lock import MachineLock, lock_name
from trainers.errors import UserError

# Each prints a line when it is inside; a worker also when it has been let in again after a pause.
WORKER = """
import runpy, sys, time
from pathlib import Path
MachineLock = runpy.run_path(sys.argv.pop(1))["MachineLock"]
lock, step = MachineLock(Path(sys.argv[1])), float(sys.argv[2])
mark = Path(sys.argv[3])
with lock.shared():
    print("inside", flush=True)
    while True:
        mark.touch()
        time.sleep(step)
        mark.unlink()
        lock.pause()
"""
PROBE = """
import runpy, sys, time
from pathlib import Path
MachineLock = runpy.run_path(sys.argv.pop(1))["MachineLock"]
with MachineLock(Path(sys.argv[1])).exclusive():
    print("alone", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def started():
    """Starts a script with its arguments; all are killed in the end."""
    processes = []

    def start(script, *arguments, environment=None):
        # By its file: the package would import torch, which takes seconds.
        command = [sys.executable, "-c", script, machine_lock.__file__, *map(str, arguments)]
        processes.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, env=os.environ | (environment or {})
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def within(seconds):
    """Fails, rather than waits for ever, where the kernel does not give a lock in time."""

    def late(*_):
        raise TimeoutError(f"no lock within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def held(file):
    """Whether another process has the file for itself."""
    try:
        flock(file, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return True
    flock(file, LOCK_UN)
    return False


def test_no_worker_is_inside_while_the_probe_is_alone(started, tmp_path):
    marks = [tmp_path / f"mark{n}" for n in range(3)]
    for mark in marks:
        assert started(WORKER, tmp_path / "file", 0.005, mark).stdout.readline() == "inside\n"
    lock = MachineLock(tmp_path / "file")
    with within(30):
        for _ in range(5):
            with lock.exclusive():
                for _ in range(10):
                    assert not any(mark.exists() for mark in marks)
                    sleep(0.003)
            before = monotonic()  # they go on
            while not all(mark.exists() for mark in marks) and monotonic() < before + 5:
                pass
            assert monotonic() < before + 5


def test_busy_workers_do_not_starve_the_probe(started, tmp_path):
    """Steps of 50 ms that overlap: at no time is the room empty by itself."""
    for n in range(4):
        started(WORKER, tmp_path / "file", 0.05, tmp_path / f"mark{n}").stdout.readline()
    lock = MachineLock(tmp_path / "file")
    for _ in range(5):
        with within(5), lock.exclusive():
            pass


@pytest.mark.parametrize("script", [WORKER, PROBE])
def test_a_killed_holder_leaves_the_lock_free(started, tmp_path, script):
    holder = started(script, tmp_path / "file", 60, tmp_path / "mark")
    holder.stdout.readline()
    lock = MachineLock(tmp_path / "file")
    with pytest.raises(TimeoutError), within(1), lock.exclusive():
        pass
    os.kill(holder.pid, signal.SIGKILL)
    with within(5), lock.exclusive():
        pass
    with within(5), lock.shared():
        pass


def test_the_probe_killed_while_it_waits_lets_the_workers_on(started, tmp_path):
    lock = MachineLock(tmp_path / "file")
    with lock.shared():
        waiting = started(PROBE, tmp_path / "file")
        with within(10), (tmp_path / "file.turnstile").open() as turnstile:
            while not held(turnstile):
                sleep(0.01)
        synchronised = []
        os.kill(waiting.pid, signal.SIGKILL)
        waiting.wait()
        with within(5):
            lock.pause(lambda: synchronised.append(True))
    assert not synchronised


def test_a_worker_ends_its_work_on_the_device_before_it_lets_go(started, tmp_path):
    lock = MachineLock(tmp_path / "file")
    with lock.shared():
        lock.pause(lambda: pytest.fail("nobody waits"))
        probe = started(PROBE, tmp_path / "file")
        synchronised = []
        with pytest.raises(TimeoutError), within(2):  # the probe stays
            while True:
                lock.pause(lambda: synchronised.append(probe.poll()))
                sleep(0.01)
        assert probe.stdout.readline() == "alone\n"
    assert synchronised == [None]


def test_locks_of_two_searches_do_not_meet(started, tmp_path):
    started(PROBE, tmp_path / "one").stdout.readline()
    with within(5), MachineLock(tmp_path / "two").exclusive():
        pass


def test_a_worker_does_not_enter_twice(tmp_path):
    lock = MachineLock(tmp_path / "file")
    with lock.shared():
        with pytest.raises(RuntimeError, match="inside already"), lock.exclusive():
            pass
        lock.pause()
    with lock.exclusive():
        pass


def test_the_files_are_of_the_user_alone_and_can_be_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_lock, "FOLDER", tmp_path)
    lock = MachineLock.named(lock_name(Path("/runs/ct")))
    with lock.exclusive():
        files = list(tmp_path.iterdir())
    assert lock.path.name.startswith(f"segnas-{os.geteuid()}-")
    assert lock.path.name != MachineLock.named(lock_name(Path("/runs/mr"))).path.name
    assert [(file.stat().st_mode & 0o777, file.stat().st_uid) for file in files] == [
        (0o600, os.geteuid())
    ] * 2
    lock.remove()
    assert not list(tmp_path.iterdir())


def test_processes_with_other_directories_for_temporary_files_share_it(started, tmp_path):
    """As those that `ray start` made elsewhere, and the search."""
    named = PROBE.replace("MachineLock(Path(sys.argv[1]))", "MachineLock.named(sys.argv[1])")
    name = lock_name(tmp_path)
    holder = started(named, name, environment={"TMPDIR": str(tmp_path)})
    holder.stdout.readline()
    lock = MachineLock.named(name)
    with pytest.raises(TimeoutError), within(1), lock.shared():
        pass
    lock.remove()


def test_a_planted_link_is_refused(tmp_path):
    (tmp_path / "file.room").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match=r"file\.room cannot be the lock.*remove it"):
        MachineLock(tmp_path / "file").exclusive().__enter__()
    assert not (tmp_path / "victim").exists()


def test_a_file_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(UserError, match=f"its owner is user {os.getuid()}"):
        MachineLock(tmp_path / "file").shared().__enter__()


def test_a_system_without_flock_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    for make in (lambda: lock_name(tmp_path), lambda: MachineLock(tmp_path / "file")):
        with pytest.raises(UserError, match="does not offer; search on Linux or macOS"):
            make()
