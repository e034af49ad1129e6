"""`segnas search` as a process of its own, begun again wherever it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

import yaml

from watched.journal import results
from watched.processes import Family

LOOK = 0.2  # seconds between two looks
PATIENCE = 300.0  # seconds without a result, after which a search hangs
REPOSITORY = Path(__file__).parents[2]


class SearchHungError(Exception):
    """No result came for `PATIENCE` seconds."""


class SearchCommand:
    """The search in `folder`/search by the configuration `config`, with more `options`.

    `temporary`: its folder for temporary files. `families`: of every process that it was so far.
    `ended`: the times of day when it was found to have ended by itself, and was begun again.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], temporary: Path, options: Sequence[str] = ()
    ) -> None:
        self.folder, self.directory = folder, folder / "search"
        self._config, self._options = folder / "config.yaml", options
        self._environment = environment(temporary)
        self.families: list[Family] = []
        self.ended: list[float] = []
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(yaml.safe_dump(dict(config)))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The latest one."""
        assert self._process is not None, "start comes first"
        return self._process

    @property
    def family(self) -> Family:
        """The processes of the latest one."""
        return self.families[-1]

    def start(self, *options: str) -> None:
        """Begin it, or go on."""
        command = [sys.executable, "-m", "nas", "search", str(self._config)]
        command += ["--dir", str(self.directory), *self._options, *options]
        self._process = begin(command, self.folder / "printed.txt", self._environment)
        self.families.append(Family(self._process.pid))

    def watch(self, seconds: float) -> None:
        """Look at its processes for so long; one that ends by itself is begun again."""
        end = monotonic() + seconds
        while monotonic() < end:
            self.family.look()
            if self.process.poll() is not None:
                self.ended.append(time())
                self.start()
            sleep(LOOK)

    def until_result(self) -> float:
        """The seconds until one more result is in the journal. Raises SearchHungError."""
        before, started = len(results(self.directory)), monotonic()
        while len(results(self.directory)) == before:
            if monotonic() - started > PATIENCE:
                raise SearchHungError(self.printed())
            self.watch(LOOK)
        return monotonic() - started

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit status, minus the signal's number where it had to be killed."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> int:
        """Wait for its end. Returns the exit status as `interrupt` does."""
        started = monotonic()
        while self.process.poll() is None:
            self.family.look()
            sleep(LOOK)
            if monotonic() - started > PATIENCE:
                self.process.kill()
        return self.process.wait()

    def stop(self) -> None:
        """End it at once, if it runs, where the benchmark itself is interrupted."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def printed(self, lines: int = 15) -> str:
        """The last lines that it printed."""
        text = (self.folder / "printed.txt").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def environment(temporary: Path) -> dict[str, str]:
    """That of a search and of what belongs to it."""
    return {
        **os.environ,
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(REPOSITORY),
        # A token file that some process here has left would have nodes refuse each other.
        "RAY_AUTH_MODE": "disabled",
    }


def begin(command: list[str], log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process that leads a session of its own."""
    with log.open("ab") as printed:
        return subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
