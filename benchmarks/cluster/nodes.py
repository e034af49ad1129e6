"""Nodes of a Ray cluster on this machine, each a `ray start` of its own that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

import psutil

NAME = "PLAYED_NODE"  # the variable that tells a worker where it is


@dataclass
class Node:
    """`name` and `slots` of it; `killed`: when, by `time.monotonic`."""

    name: str
    slots: int
    address: str
    killed: float = float("inf")
    _process: subprocess.Popen | None = field(default=None, repr=False)

    def start(self) -> None:
        """Without waiting for it."""
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        command += [f"--address={self.address}", f"--num-cpus={self.slots}", "--num-gpus=0"]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, NAME: self.name},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """With all that runs on it, as a machine that loses its power."""
        if self._process is None or self.killed < float("inf"):
            return
        everything = psutil.Process(self._process.pid).children(recursive=True)
        self.killed = monotonic()
        for process in everything:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self._process.kill()
        self._process.wait()
