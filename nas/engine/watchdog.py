"""A process that makes no progress ends itself, and leaves word of it."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


class Watchdog:
    """Ends this process once `watching` has not heard `heartbeat` for `seconds`.

    The watch is `faulthandler`'s thread, which is written in C and needs no GIL: it also ends a
    process whose one Python thread is deep in C code. Before, it writes where every thread is into
    the file `trace`, which is there, empty, as long as the watch lasts. So of a process that has
    died, the file tells how: one with text hung, an empty one was killed. A process has one watch.
    """

    def __init__(self, trace: Path, seconds: float) -> None:
        self.trace, self.seconds = trace, seconds
        self._file: BinaryIO | None = None

    @property
    def timed_out(self) -> bool:
        """Whether an earlier process of this trace ended for want of progress."""
        return self.trace.exists() and self.trace.stat().st_size > 0

    @property
    def reason(self) -> str:
        """Why a process that hung has no result."""
        where = Path(self.trace.parent.name) / self.trace.name
        return f"hung: no training step ended for {self.seconds / 60:g} min, see {where}"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The block that is watched. On a disk where no trace can be written, only the end comes.

        That of an earlier process is overwritten: ask `timed_out` before.
        """
        with _open(self.trace) as self._file:
            self.heartbeat()
            try:
                yield
            finally:
                self.pause()
                self._file = None
                with suppress(OSError):
                    self.trace.unlink()

    def heartbeat(self) -> None:
        """There was progress, now: tens of microseconds. Does nothing outside of `watching`."""
        if self._file is not None:
            faulthandler.dump_traceback_later(self.seconds, exit=True, file=self._file)

    def pause(self) -> None:
        """What follows may take as long as it likes, up to the next `heartbeat`."""
        faulthandler.cancel_dump_traceback_later()


def _open(trace: Path) -> BinaryIO:
    try:
        trace.parent.mkdir(parents=True, exist_ok=True)
        return trace.open("wb")
    except OSError:
        return Path(os.devnull).open("wb")
