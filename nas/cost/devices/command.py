"""A device that a command of the user's own measures on."""

from __future__ import annotations

import math
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, Popen, TimeoutExpired
from tempfile import TemporaryFile
from threading import Event
from time import monotonic

from nas.cost.failure import Waiting
from nas.cost.latency import Conditions, Latency, LatencyConfig
from nas.cost.latency.device_config import FILE
from nas.cost.latency.result import summary
from nas.cost.latency_probe.child_process import last_line
from trainers.errors import UserError, shortened

LOOK = 0.2  # seconds between looks whether it is to end


class CommandDevice:
    """See `FileDevice`. No shell is between; the command is ended after `latency.timeout`.

    The last line that it prints is milliseconds: one number, or one for each pass. Where it fails,
    nobody can tell whether the network is to blame or the device: the figure waits.
    """

    def __init__(
        self, name: str, command: Sequence[str], latency: LatencyConfig, shape: tuple[int, ...]
    ) -> None:
        self._command, self._latency = command, latency
        self._conditions = Conditions(
            device=name,
            driver="as its command says",
            threads=None,
            precision=latency.precision,
            quantisation=latency.quantisation if latency.precision == "int8" else None,
            backend="command",
            runtime=" ".join(command),
            shape=shape,
        )

    def conditions(self) -> Conditions:
        if shutil.which(self._command[0]) is None:
            raise UserError(
                f"command: {self._command[0]} is no program that can be run; expected one on the "
                "PATH, or its path"
            )
        return self._conditions

    def measure(self, file: Path, ended: Event) -> Latency | Waiting:
        words = [word.replace(FILE, str(file)) for word in self._command]
        words += [] if any(FILE in word for word in self._command) else [str(file)]
        with TemporaryFile() as printed, TemporaryFile() as complained:
            try:
                process = Popen(
                    words, stdin=DEVNULL, stdout=printed, stderr=complained, start_new_session=True
                )
            except OSError as error:
                return Waiting(f"{words[0]} does not start: {error.strerror or error}")
            code = _wait(process, self._latency.timeout, ended)
            if code is None:
                return Waiting(f"{words[0]} took more than {self._latency.timeout:g} s")
            if code:
                said = last_line(complained) or last_line(printed) or "it said nothing"
                return Waiting(f"{words[0]} ended with {code}: {shortened(said)}")
            said = last_line(printed)
        try:
            return summary(_milliseconds(said), None, 0, self._conditions)
        except ValueError:
            return Waiting(
                f"{words[0]} printed {shortened(said)!r}; expected milliseconds, such as 12.5"
            )


def _wait(process: Popen[bytes], timeout: float, ended: Event) -> int | None:
    """The exit status; None where it was ended, with all that it has started."""
    deadline = monotonic() + timeout
    while not ended.is_set() and monotonic() < deadline:
        try:
            return process.wait(LOOK)
        except TimeoutExpired:
            continue
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return None


def _milliseconds(line: str) -> list[float]:
    """The numbers of a line. Raises ValueError where there is anything else, or none."""
    times = [float(word) for word in line.split()]
    if not times or not all(0 < ms < math.inf for ms in times):
        raise ValueError(line)
    return times
