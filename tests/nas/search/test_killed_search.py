"""The command while it is interrupted and killed."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import yaml
from optuna import load_study
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from nas.pareto.front_files import read_front
from tests.nas.tracking.test_sync import curve, local
from trainers.signals import AT_ONCE

CONFIG = {
    "name": "test",
    "data": {"source": "phantom", "cases": 4, "shape": [24, 24, 24], "organs": 3},
    "space": {"restrict": {"width": [4], "levels": [3], "anchors": [0]}},
    "train": {"patch": [24, 24, 24], "epochs": 8, "steps_per_epoch": 20, "batch": 1},
    "objectives": ["dice", "params"],
    "search": {"trials": 2, "early_stopping": None},
}
SEGNAS = [sys.executable, "-c", "import sys; from nas.cli.main import main; sys.exit(main())"]


def searching(folder, *options, **train):
    """A search by the command line, leader of its process group."""
    (folder / "config.yaml").write_text(yaml.dump({**CONFIG, "train": CONFIG["train"] | train}))
    command = [*SEGNAS, "search", folder / "config.yaml", "--dir", folder / "search", *options]
    with (folder / "printed.txt").open("w") as printed:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(process, folder, what):
    """Until a file that fits the pattern exists; the search goes on meanwhile."""
    while not list((folder / "search").glob(what)):
        assert process.poll() is None, (folder / "printed.txt").read_text()
        time.sleep(0.05)


def left_of(process):
    return [p.pid for p in psutil.process_iter() if p.pid and os.getpgid(p.pid) == process.pid]


def told(folder):
    """The results in the journal."""
    logs = map(json.loads, (folder / "search" / "journal.log").read_text().splitlines())
    return [log["user_attr"]["result"] for log in logs if "result" in log.get("user_attr", {})]


@pytest.mark.slow
def test_ctrl_c_at_the_terminal_finishes_epochs_and_the_same_command_goes_on(tmp_path):
    process = searching(tmp_path)
    wait_for(process, tmp_path, "checkpoints/*.pt")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    assert process.wait(timeout=300) == 130, (tmp_path / "printed.txt").read_text()
    assert left_of(process) == []
    assert (tmp_path / "search" / "front.json").exists()
    began = {path.stem for path in (tmp_path / "search" / "checkpoints").glob("*.pt")}
    assert searching(tmp_path).wait(timeout=300) == 0, (tmp_path / "printed.txt").read_text()
    results = told(tmp_path)
    assert [result["state"] for result in results] == ["complete"] * 2
    assert began <= {result["key"] for result in results}
    assert {len(result["curve"]) for result in results} == {8}


@pytest.mark.slow
def test_a_second_signal_waits_for_no_epoch(tmp_path):
    """Epochs of hours: only a search that does not wait for them can end."""
    process = searching(tmp_path, steps_per_epoch=10**6)
    wait_for(process, tmp_path, "ray/*/*")
    time.sleep(5)
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(2 * AT_ONCE)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=120) == 130, (tmp_path / "printed.txt").read_text()
    assert left_of(process) == []


class Terminal:
    """A search in a terminal of its own, whose process group is the terminal's foreground."""

    def __init__(self, folder, *options, prefix=(), **train):
        (folder / "config.yaml").write_text(yaml.dump({**CONFIG, "train": CONFIG["train"] | train}))
        command = [*SEGNAS, "search", folder / "config.yaml", "--dir", folder / "search", *options]
        own = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        self._mine, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{own}os.execvp(sys.argv[1], sys.argv[1:])", *prefix, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            cwd=folder,  # of nohup.out
        )
        os.close(theirs)
        self._closed = threading.Event()
        threading.Thread(target=self._show, args=(folder / "printed.txt",), daemon=True).start()

    def close(self):
        """As a window does: the terminal hangs up, and its foreground hears of it."""
        self._closed.set()

    def hang_up(self):
        """SIGHUP alone, to all processes."""
        os.killpg(self.process.pid, signal.SIGHUP)

    def _show(self, file):
        with file.open("wb") as printed:
            while not self._closed.is_set():
                if select.select([self._mine], [], [], 0.05)[0]:
                    try:
                        printed.write(os.read(self._mine, 65536))
                    except OSError:  # all at the other end are gone
                        break
                    printed.flush()
        os.close(self._mine)


@pytest.mark.slow
@pytest.mark.parametrize("hang_up", [Terminal.close, Terminal.hang_up])
def test_a_closed_terminal_ends_a_search_as_sigterm_does(tmp_path, hang_up):
    terminal = Terminal(tmp_path, steps_per_epoch=2, epochs=1000)
    process = terminal.process
    wait_for(process, tmp_path, "checkpoints/*.pt")
    hang_up(terminal)
    assert process.wait(timeout=60) == 130, (tmp_path / "printed.txt").read_text()
    assert left_of(process) == []
    assert read_front(tmp_path / "search").members == []
    assert json.loads((tmp_path / "search/summary.json").read_text())["status"] == "KILLED"
    assert local(tmp_path / "search")[""]["status"] == "KILLED"


@pytest.mark.slow
def test_a_search_under_nohup_outlives_its_terminal(tmp_path):
    terminal = Terminal(tmp_path, prefix=["nohup"])
    wait_for(terminal.process, tmp_path, "checkpoints/*.pt")
    terminal.close()
    assert terminal.process.wait(timeout=300) == 0
    assert [result["state"] for result in told(tmp_path)] == ["complete"] * 2


@pytest.mark.slow
def test_kill_9_of_the_search_costs_no_finished_trial_and_leaves_no_process(tmp_path):
    """Killed when one of three trials has ended and another has trained some epochs."""
    three = ("--set", "search.trials=3")
    process = searching(tmp_path, *three)
    wait_for(process, tmp_path, "checkpoints/*.pt")
    while not (before := told(tmp_path)):
        assert process.poll() is None
        time.sleep(0.05)
    begun = {r["key"] for r in before}
    while not {path.stem for path in (tmp_path / "search/checkpoints").glob("*.pt")} - begun:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert searching(tmp_path, "--resume", *three).wait(timeout=300) == 0
    after = told(tmp_path)
    assert after[: len(before)] == before
    assert [(r["state"], len(r["curve"])) for r in after] == [("complete", 8)] * 3
    journal = JournalStorage(JournalFileBackend(str(tmp_path / "search/journal.log")))
    states = [trial.state for trial in load_study(study_name="search", storage=journal).trials]
    assert TrialState.RUNNING not in states
    assert states.count(TrialState.COMPLETE) == 3
    runs = local(tmp_path / "search")
    assert runs.pop("")["status"] == "FINISHED"  # the search's own
    assert set(runs) == {result["key"] for result in after}
    for result in after:
        run = runs[result["key"]]
        assert run["status"] == "FINISHED"
        assert [point[1] for point in curve(run)] == result["curve"]
        losses = [point[1] for point in run["points"] if point[0] == "epoch/loss"]
        # The search was killed before it had heard of the checkpoint's last epoch, perhaps.
        assert len(losses) == len(set(losses)) >= 7
    end = time.monotonic() + 90  # two of Ray's agents look for their raylet once a minute
    while left_of(process) and time.monotonic() < end:
        time.sleep(0.5)
    assert left_of(process) == []
