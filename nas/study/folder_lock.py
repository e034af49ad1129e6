"""One process at a time in a folder of a search or of a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from trainers.errors import UserError

LOCK = ".lock"


@contextmanager
def alone_in(directory: Path, of: Literal["search", "network"] = "search") -> Iterator[None]:
    """Make the folder and hold it: two searches in one folder would spoil its journal.

    The lock is the kernel's: that of a process that is killed is free. Raises UserError where
    another process holds it, or where the folder cannot be made, written or locked.
    """
    with _held(directory / LOCK, directory, of):
        yield


@contextmanager
def alone_at(folder: Path) -> Iterator[None]:
    """The same beside a folder that takes the place of another once it is whole: the lock goes
    with the command that holds it."""
    lock = folder.with_name(f"{folder.name}{LOCK}")
    with _held(lock, folder, "network"):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def _held(lock: Path, directory: Path, of: Literal["search", "network"]) -> Iterator[None]:
    kernel = FileLock(lock, blocking=False, fallback_to_soft=False)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        kernel.acquire()
    except Timeout:
        raise _taken(directory, of) from None
    except OSError as error:
        raise UserError(f"{directory} cannot hold a {of}: {error.strerror}") from error
    try:
        yield
    finally:
        kernel.release()


@contextmanager
def reading_in(directory: Path) -> Iterator[None]:
    """Hold the folder of a search to read it, also where nothing can be written, as in another
    person's. Raises UserError where another process is at work there."""
    lock = directory / LOCK
    if os.access(directory, os.W_OK) and (not lock.exists() or os.access(lock, os.W_OK)):
        with alone_in(directory):
            yield
        return
    if not lock.exists():
        yield
        return
    import fcntl  # which Windows lacks

    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(directory) from None
        yield


def _taken(directory: Path, of: str = "search") -> UserError:
    if of == "network":
        return UserError(f"another command is at work in {directory}; wait until it ends")
    return UserError(
        f"another search is running in {directory}, or another command is at work there; wait "
        "until it ends, or give a new search another --dir"
    )
