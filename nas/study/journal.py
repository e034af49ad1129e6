"""The file that a study is written to, line by line. One process at a time may hold it."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

from optuna.storages.journal import JournalFileBackend

from nas.study.optuna_private import lines_read
from trainers.errors import UserError

T = TypeVar("T")
SHORTEST, LONGEST = 1.0, 30.0  # seconds between attempts at a write that fails


class Journal(JournalFileBackend):
    """A file of JSON lines that a full disk holds up and does not spoil.

    Optuna's own backend locks the file and flushes it to the disk at every write, twenty times an
    ask: seconds where the disk is busy. Here nobody else writes, what is written outlives the
    process, and only changes of a trial's state wait for the disk.

    A write that fails is cut off again and tried until it succeeds, with a warning at the first
    failure and one at the end; only an exception such as KeyboardInterrupt ends the wait. What a
    death during a write left behind is mended, with a warning, when the file is opened. Raises
    UserError for damage that is older than that, and where the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            _mend(path)
            super().__init__(str(path))
        except OSError as error:
            raise UserError(f"{path} cannot be opened: {error.strerror or error}") from error
        self._on_disk = 0  # bytes that have certainly reached it

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write one line a log."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        durable = any("state" in log for log in logs)
        end = _persist(self._path, lambda: self._path.stat().st_size)
        _persist(self._path, lambda: self._write(lines, end, durable), lambda: self._cut(end))

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The logs from that number on."""
        try:
            yield from super().read_logs(log_number_from)
        except ValueError as error:
            raise _damaged(self._path, lines_read(self)) from error

    def _write(self, lines: bytes, end: int, durable: bool) -> None:
        with self._path.open("r+b") as file:
            file.seek(end)
            file.write(lines)
            file.truncate()
            file.flush()
            if durable:
                self._flush_to_disk(file.fileno(), end + len(lines))

    def _flush_to_disk(self, file: int, size: int) -> None:
        try:
            os.fsync(file)
        except OSError:
            # Linux tells of a page that cannot be written once, and takes it for written after
            # that: all since the last success is made new, for the next attempt to flush.
            recent = os.pread(file, size - self._on_disk, self._on_disk)
            os.pwrite(file, recent, self._on_disk)
            raise
        self._on_disk = size

    def _cut(self, end: int) -> None:
        """Leave nothing of a write that failed, in case that there is no further attempt."""
        try:
            if self._path.stat().st_size > end:
                os.truncate(self._path, end)
        except OSError:  # a folder that is gone for now: the next attempt begins at `end` anyway
            return


def _persist(path: Path, write: Callable[[], T], undo: Callable[[], None] = lambda: None) -> T:
    """What `write` returns, once it raises no OSError."""
    pause, started = SHORTEST, time.monotonic()
    while True:
        try:
            done = write()
            break
        except OSError as error:
            undo()
            if pause == SHORTEST:
                _warn(
                    f"{path} cannot be written ({error.strerror or error}): the search waits, and "
                    "goes on once it can be. Nothing is lost; Ctrl-C ends it, to be resumed."
                )
            time.sleep(pause)
            pause = min(2 * pause, LONGEST)
    if pause > SHORTEST:
        waited = time.monotonic() - started
        _warn(f"{path} is written again after {waited:.0f} s: the search goes on")
    return done


def _mend(path: Path) -> None:
    """Complete or drop what a death of the process, or of the machine, left at the end.

    The disk may hold the blocks of a write that was not waited for in any order, with zeros in
    place of missing ones. Lines that follow damage are dropped with it, for they build on each
    other; but where one that was waited for (all before it is then on the disk) follows, the
    damage has another cause and is left to a person.
    """
    content = path.read_bytes() if path.exists() else b""
    if _is_record(content[content.rfind(b"\n") + 1 :]):
        _warn(f"{path}: its last line lacks its end, which is added")
        with path.open("ab") as file:
            file.write(b"\n")
        content += b"\n"
    *lines, last = content.split(b"\n")
    damage = next((n for n, line in enumerate(lines[:-1]) if not _looks_whole(line)), None)
    if damage is None:
        damage = len(lines) - (bool(lines) and not _is_record(lines[-1]))
    elif damage == 0 or any(_was_waited_for(line) for line in lines[damage:-1]):
        raise _damaged(path, damage + 1)
    dropped = len(lines) - damage + bool(last)
    if dropped:
        one, more = "line was half written and is", f"{dropped} lines are damaged and"
        _warn(f"{path}: its last {one if dropped == 1 else more} dropped")
        os.truncate(path, sum(len(line) + 1 for line in lines[:damage]))


def _looks_whole(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith(b"}") and b"\0" not in line


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _was_waited_for(line: bytes) -> bool:
    return _is_record(line) and "state" in json.loads(line)


def _damaged(path: Path, line: int) -> UserError:
    return UserError(
        f"{path}: line {line} is damaged, and later ones are not; expected one JSON object a line. "
        "Put a copy of the file in its place, or give --dir a new folder"
    )


def _warn(message: str) -> None:
    # Not warnings.warn, which says the same thing only once, however many hours apart.
    warnings.warn_explicit(message, UserWarning, __file__, 0)
