"""What a search says before its first candidate trains."""

import io
import re
import signal
import threading
from pathlib import Path
from time import monotonic

import pytest
from rich.console import Console

from nas.cli.main import main
from nas.cli.search import _process_began
from nas.search.progress_bars import Bars
from nas.search.stages import Stages
from trainers.signals import SIGNALS

DATED = re.compile(r"^\d\d:\d\d:\d\d ", re.M)


def terminal(kind: str = "xterm") -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, _environ={"TERM": kind})


def drawn(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_without_a_terminal_each_stage_is_a_dated_line_of_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Stages(Console()) as stages:
        stages.begin("Reading [red]a.yaml")
        stages.begin("Starting Ray")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert DATED.sub("", captured.err) == "Reading [red]a.yaml\nStarting Ray\n"
    assert len(DATED.findall(captured.err)) == 2


def test_the_seconds_of_a_command_begin_with_its_process() -> None:
    assert 90 <= Stages(Console(), began=monotonic() - 90).seconds < 100
    began = _process_began()
    assert 0 < monotonic() - began < 24 * 3600


def test_a_terminal_that_cannot_redraw_a_line_gets_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = terminal("dumb")
    with Stages(console) as stages:
        stages.begin("Starting Ray")
    assert drawn(console) == "" and "Starting Ray" in capsys.readouterr().err


def test_in_a_terminal_it_is_one_line_that_is_gone_afterwards() -> None:
    console = terminal()
    with Stages(console) as stages:
        stages.begin("Reading [red]a.yaml")
        assert "Reading [red]a.yaml" in drawn(console)
        stages.begin("Starting Ray")
    text = drawn(console)
    assert "Starting Ray" in text and "0:00:0" in text
    assert text.endswith("\x1b[1A\x1b[2K") and text.count("\x1b[?25h") == 2  # the cursor is back


def test_its_thread_leaves_signals_to_the_main_one() -> None:
    before = set(threading.enumerate())
    with Stages(terminal()) as stages:
        stages.begin("Starting Ray")
        (thread,) = set(threading.enumerate()) - before
        blocked = re.search(
            r"^SigBlk:\s*(\w+)$",
            Path(f"/proc/self/task/{thread.native_id}/status").read_text(),
            re.M,
        )
        assert blocked is not None
        assert all(int(blocked[1], 16) >> (number - 1) & 1 for number in SIGNALS)
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & set(SIGNALS)


def test_the_bar_of_the_same_terminal_takes_its_place() -> None:
    console = terminal()
    with Stages(console) as stages, Bars(console, stages=stages) as bars:
        stages.begin("Preparing the data")
        bars.count(1, 2, "cases prepared")
        begun = drawn(console)
    assert begun.index("Preparing the data") < begun.index("cases prepared")
    assert "Preparing" not in begun[begun.index("cases prepared") :]


def test_an_error_comes_after_the_line_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(tmp_path / "missing.yaml")]) == 2
    captured = capsys.readouterr()
    first, second, *_ = captured.err.splitlines()
    assert DATED.match(first) and first.endswith("missing.yaml")
    assert second.startswith("error:") and captured.out == ""
