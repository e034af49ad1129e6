"""How a search comes up: when its processes are there, have torch, train, and have a result.

    python benchmarks/startup.py [--config CONFIG] [--set resources.concurrent=2]

The search of configs/quickstart.yaml is run until its first result, then stopped. All is seen from
outside, in /proc: a process has torch once the library is mapped, a candidate is begun once its
watchdog's trace is there, in the process that has it open. Seconds are those since the command
began; CPU seconds are what all processes of a kind took until the first result, which a loaded
machine changes least. Linux only.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen
from time import monotonic, sleep

import psutil
from watched.processes import kind_of

from nas.cli.main import one_line_errors

CONFIG = Path(__file__).parents[1] / "configs" / "quickstart.yaml"
LOOK = 0.05  # seconds between two looks


class Timeline:
    """What was seen of the processes of one search so far."""

    def __init__(self, driver: int, folder: Path) -> None:
        self.driver, self.folder = psutil.Process(driver), folder
        self.started = monotonic()
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.cpu: dict[int, tuple[str, float]] = {}
        self._started: dict[int, float] = {}
        self._torch: dict[int, float] = {}
        self._trainer: int | None = None  # the process of the first candidate

    def look(self) -> None:
        """Note what is there now."""
        now = monotonic() - self.started
        for process in (self.driver, *self.driver.children(recursive=True)):
            kind = "driver" if process == self.driver else kind_of(process)
            if kind == "other":
                continue
            pid = process.pid
            if pid not in self._started:
                self._started[pid] = now
                self._note(f"{kind}: process", now)
            with suppress(psutil.Error):  # it has ended meanwhile
                self.cpu[pid] = kind, sum(process.cpu_times()[:2])
            if pid not in self._torch and kind != "Ray" and _maps_torch(pid):
                self._torch[pid] = now
                self._note(f"{kind}: torch", now)
            if self._trainer is None and kind == "worker" and self._trains(pid):
                self._trainer = pid
                self._note("candidate begun", now)
        for event, pattern in (
            ("data prepared", "split.json"),
            ("MLflow's store", "mlflow.db"),
            ("epoch trained", "checkpoints/*.pt"),
            ("result", "front.json"),
        ):
            if event not in self.first and any(self.folder.glob(pattern)):
                self._note(event, now)

    def _trains(self, pid: int) -> bool:
        """Whether it has the trace of a candidate's watchdog open."""
        try:
            files = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            return False
        return any(f"{self.folder}/checkpoints/" in file and ".hang" in file for file in files)

    def _note(self, event: str, now: float) -> None:
        self.first.setdefault(event, now)
        self.last[event] = now

    def table(self) -> Iterator[str]:
        """A line for each event in their order, then one for the CPU seconds."""
        for event, at in sorted(self.first.items(), key=lambda item: item[1]):
            last = f", the last {self.last[event]:.1f}" if self.last[event] > at else ""
            yield f"{event:<20}{at:>7.1f} s{last}"
        if self._trainer is not None:
            started, torch = self._started[self._trainer], self._torch[self._trainer]
            yield f"The candidate began in a process of {started:.1f} s with torch at {torch:.1f} s"
        spent: dict[str, list[float]] = defaultdict(list)
        for kind, cpu in self.cpu.values():
            spent[kind].append(cpu)
        parts = (f"{kind} {' + '.join(f'{s:.1f}' for s in cpu)}" for kind, cpu in spent.items())
        yield f"CPU seconds: {'; '.join(parts)}"


def _maps_torch(pid: int) -> bool:
    try:
        return "libtorch_cpu" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "search"
        command = [sys.executable, "-m", "nas", "search", str(options.config), "--dir", str(folder)]
        for setting in options.settings:
            command += ["--set", setting]
        process = Popen(command, stdout=DEVNULL)
        timeline = Timeline(process.pid, folder)
        while process.poll() is None and "result" not in timeline.first:
            timeline.look()
            sleep(LOOK)
        for _ in range(2):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                sleep(1)
        process.wait()
        print(*timeline.table(), sep="\n")


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
