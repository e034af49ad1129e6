"""The probe's child process, seen from its parent."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired
from tempfile import TemporaryFile
from typing import IO, Any

from nas.cost.latency_probe.task import ProbeTask

TAIL = 1 << 16  # bytes of what a process printed that are read, from its end


class Child:
    """Runs `nas.cost.latency_probe.child_main` for a task: JSON messages over a socket of its own.

    The process has a session of its own (Ctrl-C at the terminal does not reach it), finds modules
    where this one does, and writes what libraries print to a file. Requests may be sent at once.
    """

    def __init__(self, task: ProbeTask) -> None:
        self._connection, theirs = Pipe()
        self._printed = TemporaryFile()  # noqa: SIM115 - closed by `end`
        module = "nas.cost.latency_probe.child_main"
        with theirs:
            self._process = Popen(
                [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                stdin=DEVNULL,
                stdout=self._printed,
                stderr=STDOUT,
                env=environment(task.latency.threads),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.send(task.to_json())

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a request; `receive` tells where the child has died."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.send_bytes(json.dumps(message).encode())

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """The next message, or None where none comes within `seconds`.

        Where the process has died, the message is `{"died": "crashed (SIGKILL)"}`.
        """
        try:
            if not self._connection.poll(seconds):
                return None
            return json.loads(self._connection.recv_bytes())
        except (EOFError, ConnectionResetError):
            return {"died": self._death()}

    def end(self) -> None:
        """Kill the process and its own children, such as compilers."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._connection.close()
        self._printed.close()

    def _death(self) -> str:
        try:
            code = self._process.wait(timeout=10)
        except TimeoutExpired:
            return "crashed (closed its connection)"
        if code < 0:
            return f"crashed ({signal.Signals(-code).name})"
        return f"crashed (exit status {code}): {last_line(self._printed) or 'it said nothing'}"


def environment(threads: int) -> dict[str, str]:
    """That of a process which measures: it finds modules where this one does."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),  # read when torch is imported
        "MKL_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
    }


def last_line(printed: IO[bytes]) -> str:
    """The last line that is not empty of what a process printed into a file; empty without one."""
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, size - TAIL))
    lines = printed.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
