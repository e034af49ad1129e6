"""Who may compute on this machine: many workers at once, or the probe alone."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from types import ModuleType

from trainers.errors import UserError

# Whatever TMPDIR is, which the processes of one machine need not have in common: those that Ray
# starts have that of its `ray start`.
FOLDER = Path("/tmp")


class MachineLock:
    """A readers-writer lock between the processes of one machine that prefers the writer.

    Two locked files: everybody passes the turnstile to enter the room; workers share both, the
    probe has both for itself and holds the turnstile while the room empties. The locks belong to
    open files, so that the kernel frees those of a process that is killed. One `MachineLock` is for
    one thread; `waited` counts the seconds that its workers' side spent in `pause`.

    Why no `filelock.ReadWriteLock`: to see whether a writer waits, its reader has to leave and come
    back, two transactions of SQLite, where `flock` answers a hundred times faster; and `pause` is
    called between all steps of a training. Raises UserError on systems without `flock`.
    """

    def __init__(self, path: Path) -> None:
        self._fcntl = _fcntl()
        self._turnstile = path.with_name(f"{path.name}.turnstile")
        self._room = path.with_name(f"{path.name}.room")
        self._inside: tuple[int, int] | None = None
        self.path = path
        self.waited = 0.0

    @classmethod
    def named(cls, name: str) -> MachineLock:
        """That of this `lock_name`, on the machine where it is called."""
        return cls(FOLDER / f"segnas-{name}")

    @contextmanager
    def shared(self) -> Iterator[None]:
        """A worker's block: waits until nobody is alone; call `pause` in it as often as possible.

        Raises UserError where the lock's files cannot be trusted; see `exclusive`.
        """
        with self._open() as (turnstile, room):
            self._enter(turnstile, room)
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
        fcntl = self._fcntl
        try:
            fcntl.flock(turnstile, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            synchronise()
            started = monotonic()
            fcntl.flock(room, fcntl.LOCK_UN)
            self._enter(turnstile, room)
            self.waited += monotonic() - started
        else:
            fcntl.flock(turnstile, fcntl.LOCK_UN)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """The probe's block: begins once every worker is outside, and keeps them there.

        Raises UserError where a file of the lock is another user's, or no file at all.
        """
        with self._open() as (turnstile, room):
            self._fcntl.flock(turnstile, self._fcntl.LOCK_EX)
            self._fcntl.flock(room, self._fcntl.LOCK_EX)
            yield

    def remove(self) -> None:
        """Remove the files, if they are this user's. Only once nobody uses the lock any more."""
        for file in (self._turnstile, self._room):
            with suppress(OSError):
                file.unlink(missing_ok=True)

    def _enter(self, turnstile: int, room: int) -> None:
        fcntl = self._fcntl
        fcntl.flock(turnstile, fcntl.LOCK_SH)
        fcntl.flock(room, fcntl.LOCK_SH)
        fcntl.flock(turnstile, fcntl.LOCK_UN)

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


def lock_name(directory: Path) -> str:
    """What names the lock of this user's search in `directory`, on every machine."""
    _fcntl()  # before `geteuid`, which the same systems lack
    return f"{os.geteuid()}-{hashlib.sha256(str(directory).encode()).hexdigest()[:12]}"


def _fcntl() -> ModuleType:
    """The kernel's locks, which Windows does not offer."""
    try:
        import fcntl
    except ImportError as error:
        raise UserError(
            "trials and the latency probe of one machine take turns by flock, which "
            f"{sys.platform} does not offer; search on Linux or macOS, or on Windows in WSL"
        ) from error
    return fcntl


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
        f"{path} cannot be the lock between trials and the latency probe: {found}; expected a file "
        "of your own, in a directory that you can write; remove it"
    )
