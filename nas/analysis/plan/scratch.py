"""Where a plan keeps what it prepares, and nothing of plans that were killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

PREFIX, LOCK = ".plan-", ".lock"


@contextmanager
def scratch_folder(workdir: Path) -> Iterator[Path]:
    """A new folder in `workdir`, removed in the end. Those that killed plans left there go first.

    A plan that lives holds the lock beside its folder, which is the kernel's: that of a process
    that is killed is free.
    """
    for left in {path.name.removesuffix(LOCK) for path in workdir.glob(f"{PREFIX}*")}:
        _remove(workdir / left)
    folder = workdir / f"{PREFIX}{uuid4().hex}"
    with _lock(folder, blocking=True):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    _file(folder).unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """Unless a process owns it."""
    try:
        with _lock(folder):
            shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        return
    _file(folder).unlink(missing_ok=True)


def _file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{LOCK}")


def _lock(folder: Path, blocking: bool = False) -> FileLock:
    return FileLock(_file(folder), blocking=blocking, fallback_to_soft=False)
