"""One process at a time in a search's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainers.errors import UserError


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Make the folder and hold it: two searches in one folder would spoil its journal.

    Raises UserError where another process holds it, or where it cannot be made or written.
    """
    import fcntl

    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{directory} cannot hold a search: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another search is running in {directory}, or another command is at work there; "
                "wait until it ends, or give a new search another --dir"
            ) from None
        yield
