"""The processes of a command, also those whose parents have ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import psutil

KINDS = {  # what a command line holds, and what such a process is
    "Agent": "Ray",
    "latency_probe.child_main": "probe",
    "default_worker.py": "worker",
    "ray::": "worker",
    "gcs_server": "Ray",
    "raylet": "Ray",
    "ray/": "Ray",
}


class Family:
    """The process `root`, which leads a session of its own, and all that come of it.

    A member is whoever was seen below `root`, or is in its session: `look` as often as processes
    with sessions of their own may begin and lose their parents.
    """

    def __init__(self, root: int) -> None:
        self.root = psutil.Process(root)
        self._seen: set[psutil.Process] = set()

    def look(self) -> None:
        """Remember who is there now."""
        with suppress(psutil.Error):
            self._seen.update(self.root.children(recursive=True))

    def alive(self, kind: str | None = None) -> list[psutil.Process]:
        """Those that run, `root` left out, by their ids; only those of a `kind`, if it is given."""
        self.look()
        self._seen.update(_in_session(self.root.pid))
        found = [one for one in self._seen if _runs(one)]
        chosen = [one for one in found if kind is None or kind_of(one) == kind]
        return sorted(chosen, key=lambda process: process.pid)


def kind_of(process: psutil.Process) -> str:
    """`worker`, `probe`, `Ray` for its own services, else `other`."""
    line = command_line(process)
    return next((kind for text, kind in KINDS.items() if text in line), "other")


def command_line(process: psutil.Process) -> str:
    """All words; nothing of a process that has ended."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _in_session(leader: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if process.pid not in (0, leader) and os.getsid(process.pid) == leader:
                yield process


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
