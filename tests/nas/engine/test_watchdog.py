"""The watch over a process, on real ones that hang."""

import signal
import subprocess
import sys

import pytest

from nas.engine import watchdog as stall
from nas.engine.watchdog import Watchdog

SCRIPT = """
import ctypes, re, runpy, sys, time
from pathlib import Path
Watchdog = runpy.run_path(sys.argv[1])["Watchdog"]
stall = Watchdog(Path(sys.argv[2]), float(sys.argv[3]))
with stall.watching():
    print("watching", flush=True)
{body}
"""
SLEEPS = "time.sleep(60)"
HOLDS_THE_GIL = "ctypes.PyDLL(None).sleep(60)"
MATCHES_FOR_EVER = 're.match(r"(a+)+$", 60 * "a" + "b")'


@pytest.fixture
def started(tmp_path):
    """Starts a process that is watched with that body; killed in the end."""
    processes = []

    def start(body, seconds=0.5, trace=None):
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        # By its file: the package would import torch, which takes seconds.
        command = [sys.executable, "-c", SCRIPT.format(body=lines), stall.__file__]
        command += [str(trace or tmp_path / "a.hang.txt"), str(seconds)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def earlier(tmp_path):
    return Watchdog(tmp_path / "a.hang.txt", 90)


@pytest.mark.parametrize("body", [SLEEPS, HOLDS_THE_GIL, MATCHES_FOR_EVER])
def test_a_process_that_hangs_ends_and_tells_where(started, earlier, body):
    process = started(f"def stuck():\n    {body}\nstuck()")
    assert process.wait(30) == 1
    assert earlier.timed_out
    assert "in stuck" in earlier.trace.read_text()
    assert earlier.reason.startswith("hung: no training step ended for 1.5 min, see ")
    assert earlier.reason.endswith("/a.hang.txt")


def test_progress_keeps_a_process_alive(started, earlier):
    process = started("for _ in range(25):\n    stall.heartbeat()\n    time.sleep(0.1)", seconds=2)
    assert process.wait(30) == 0
    assert not earlier.trace.exists()


def test_rest_may_take_as_long_as_it_likes(started):
    assert started("stall.pause()\ntime.sleep(1)\nstall.heartbeat()").wait(30) == 0


def test_the_watch_goes_on_after_a_rest(started, earlier):
    assert started(f"stall.pause()\nstall.heartbeat()\n{SLEEPS}").wait(30) == 1
    assert earlier.timed_out


def test_nothing_is_watched_after_an_error(started, earlier):
    body = "try:\n    with stall.watching():\n        1 / 0\nexcept ZeroDivisionError:\n    pass\n"
    assert started(f"{body}stall.heartbeat()\ntime.sleep(1)").wait(30) == 0
    assert not earlier.trace.exists()


def test_a_process_that_was_killed_has_not_hung(started, earlier):
    process = started(SLEEPS, seconds=60)
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert earlier.trace.exists()
    assert not earlier.timed_out


def test_a_process_that_cannot_write_a_trace_ends_all_the_same(started, tmp_path):
    (tmp_path / "file").touch()
    process = started(SLEEPS, trace=tmp_path / "file" / "a.hang.txt")
    assert process.wait(30) == 1
    assert not Watchdog(tmp_path / "file" / "a.hang.txt", 90).timed_out
