"""One process at a time in a search's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trainers.errors import UserError


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Make the folder and hold it: two searches in one folder would spoil its journal.

    The lock is the kernel's: that of a process that is killed is free. Raises UserError where
    another process holds it, or where the folder cannot be made, written or locked.
    """
    lock = FileLock(directory / ".lock", blocking=False, fallback_to_soft=False)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another search is running in {directory}, or another command is at work there; "
            "wait until it ends, or give a new search another --dir"
        ) from None
    except OSError as error:
        raise UserError(f"{directory} cannot hold a search: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
