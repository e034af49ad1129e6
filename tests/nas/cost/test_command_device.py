"""A device that a command of the user's own measures on, with real commands."""

from pathlib import Path
from threading import Event, Timer
from time import monotonic, sleep

import psutil
import pytest

from nas.cost.devices.command import CommandDevice
from nas.cost.failure import Waiting
from nas.cost.latency import LatencyConfig
from trainers.errors import UserError

SHAPE = (1, 1, 8, 8, 8)
GOES_ON = Event()


def phone(*command, timeout=30.0):
    config = LatencyConfig(backend="onnxruntime", patch=SHAPE[2:], timeout=timeout)
    return CommandDevice("phone", command, config, SHAPE)


def shell(script, **options):
    return phone("sh", "-c", script, **options)


def test_one_number_is_the_median():
    found = shell("echo loading; echo 12.5; echo").measure(Path("net.onnx"), GOES_ON)
    assert (found.p50_ms, found.mean_ms, found.repeats) == (12.5, 12.5, 1)
    assert found.noise is None  # nobody told of two runs
    assert found.conditions.text() == (
        "phone (as its command says), fp32, command (sh -c echo loading; echo 12.5; echo), "
        "batch 1 of 1x8x8x8"
    )


def test_several_numbers_are_passes():
    found = shell("echo 3 1 2 4 5").measure(Path("net.onnx"), GOES_ON)
    assert (found.p50_ms, found.mean_ms, found.repeats) == (3.0, 3.0, 5)
    assert found.p90_ms == pytest.approx(4.6)  # between the fourth and the fifth


@pytest.mark.parametrize(
    "command",
    [("sh", "-c", 'cat "$0"'), ("cat",), ("sh", "-c", "cat {file}"), ("cat", "{file}")],
)
def test_the_file_is_the_last_argument_or_stands_where_it_is_told(tmp_path, command):
    (tmp_path / "net.onnx").write_text("7.25\n")
    assert phone(*command).measure(tmp_path / "net.onnx", GOES_ON).p50_ms == 7.25


@pytest.mark.parametrize("said", ["done", "12 ms", "nan", "0", "-3", "inf", ""])
def test_what_prints_no_milliseconds_waits(said):
    found = shell(f"echo '{said}'").measure(Path("net.onnx"), GOES_ON)
    assert found == Waiting(f"sh printed {said!r}; expected milliseconds, such as 12.5")


def test_what_fails_waits_with_its_last_words():
    found = shell("echo 12.5; echo no devices found >&2; exit 3").measure(Path("a"), GOES_ON)
    assert found == Waiting("sh ended with 3: no devices found")


def test_what_takes_too_long_is_ended_with_all_it_started(tmp_path):
    started = monotonic()
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    found = shell(script, timeout=0.5).measure(Path("a"), GOES_ON)
    assert found == Waiting("sh took more than 0.5 s")
    assert monotonic() - started < 10
    pid = int((tmp_path / "pid").read_text())
    while lives(pid):  # a moment, of a process that was killed
        assert monotonic() - started < 10
        sleep(0.01)


def lives(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"


def test_a_search_that_ends_does_not_wait_for_it():
    ended, started = Event(), monotonic()
    Timer(0.2, ended.set).start()
    assert isinstance(shell("sleep 60").measure(Path("a"), ended), Waiting)
    assert monotonic() - started < 10


def test_a_program_that_is_not_there_is_told_at_the_door():
    assert shell("exit").conditions().runtime == "sh -c exit"
    with pytest.raises(UserError, match=r"command: \./nowhere is no program that can be run"):
        phone("./nowhere").conditions()
