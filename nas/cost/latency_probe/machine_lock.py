"""Who may compute on this machine: many workers at once, or the probe alone."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from pathlib import Path
from time import monotonic

from trainers.errors import UserError


class MachineLock:
    """A readers-writer lock between the processes of one machine that prefers the writer.

    Two locked files: everybody passes the turnstile to enter the room; workers share both, the
    probe has both for itself and holds the turnstile while the room empties. The locks belong to
    open files, so that the kernel frees those of a process that is killed. One `MachineLock` is for
    one thread; `waited` counts the seconds that its workers' side spent in `pause`.
    """

    def __init__(self, path: Path) -> None:
        self._turnstile = path.with_name(f"{path.name}.turnstile")
        self._room = path.with_name(f"{path.name}.room")
        self._inside: tuple[int, int] | None = None
        self.path = path
        self.waited = 0.0

    @staticmethod
    def default_path(search_id: str) -> Path:
        """The gate of one user's search, in the local directory for temporary files."""
        return Path(tempfile.gettempdir()) / f"segnas-{os.geteuid()}-{search_id}"

    @contextmanager
    def shared(self) -> Iterator[None]:
        """A worker's block: waits until nobody is alone; call `pause` in it as often as possible.

        Raises UserError where the gate's files cannot be trusted; see `exclusive`.
        """
        with self._open() as (turnstile, room):
            _enter(turnstile, room)
            self._inside = turnstile, room
            try:
                yield
            finally:
                self._inside = None

    def pause(self, synchronise: Callable[[], object] = lambda: None) -> None:
        """Where the probe waits, let it go first; two calls of the kernel where it does not.

        `synchronise` is called before the room is left, to end what runs on a device. Does nothing
        outside of `shared`.
        """
        if self._inside is None:
            return
        turnstile, room = self._inside
        try:
            flock(turnstile, LOCK_SH | LOCK_NB)
        except BlockingIOError:
            synchronise()
            started = monotonic()
            flock(room, LOCK_UN)
            _enter(turnstile, room)
            self.waited += monotonic() - started
        else:
            flock(turnstile, LOCK_UN)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """The probe's block: begins once every worker is outside, and keeps them there.

        Raises UserError where a file of the gate is another user's, or no file at all.
        """
        with self._open() as (turnstile, room):
            flock(turnstile, LOCK_EX)
            flock(room, LOCK_EX)
            yield

    def remove(self) -> None:
        """Remove the files. Only once nobody uses the gate any more."""
        self._turnstile.unlink(missing_ok=True)
        self._room.unlink(missing_ok=True)

    @contextmanager
    def _open(self) -> Iterator[tuple[int, int]]:
        """Descriptors of the turnstile and the room; to close them is to free their locks."""
        if self._inside is not None:
            raise RuntimeError(f"{self.path}: this worker is inside already, it would wait forever")
        turnstile = _open_own(self._turnstile)
        try:
            room = _open_own(self._room)
            try:
                yield turnstile, room
            finally:
                os.close(room)
        finally:
            os.close(turnstile)


def _enter(turnstile: int, room: int) -> None:
    flock(turnstile, LOCK_SH)
    flock(room, LOCK_SH)
    flock(turnstile, LOCK_UN)


def _open_own(path: Path) -> int:
    """A descriptor of a file that is this user's and nobody else can write; made where missing."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise UserError(_distrust(path, error.strerror or str(error))) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(descriptor)
        raise UserError(_distrust(path, f"its owner is user {found.st_uid}, or it is no file"))
    os.utime(descriptor)  # what has not changed for days is cleared away from such directories
    return descriptor


def _distrust(path: Path, found: str) -> str:
    return (
        f"{path} cannot be the gate between trials and the latency probe: {found}; expected a file "
        "of your own; remove it, or set TMPDIR to a directory that only you can write"
    )
