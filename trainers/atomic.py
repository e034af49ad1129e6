"""Files and folders that are whole or absent, even after a killed process or a full disk."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from glob import escape
from pathlib import Path
from uuid import uuid4

from trainers.errors import UserError

DRAFT = re.compile(
    r"\..+[.-][0-9a-f]{32}"
)  # what files and folders are called until they are whole


def output_folder(folder: Path) -> Path:
    """`folder`, made where it is missing. Raises UserError where it cannot be one, or not be
    written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made a folder: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder} cannot be written to; give another folder")
    return folder


def new_folder(folder: Path) -> None:
    """Raise UserError unless `folder` is missing or empty, and can be made and written to."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, no folder; give --to a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; give --to a new folder")
    output_folder(folder if folder.exists() else folder.parent)


def make_folder(folder: Path, build: Callable[[Path], object]) -> Path:
    """`folder`, filled by `build` unless it exists.

    It is built beside its place and then renamed; of two processes that build at once, the first to
    finish wins and the other's copy is thrown away. Raises what `build` does, OSErrors with a name.
    """
    if folder.exists():
        return folder
    draft = folder.with_name(f".{folder.name}-{uuid4().hex}")
    try:
        draft.mkdir(parents=True)
    except OSError as error:
        raise _named(error, folder, always=True) from error
    try:
        build(draft)
        draft.rename(folder)
    except OSError as error:
        if not folder.exists():
            raise _named(error, folder) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def make_folder_once(folder: Path, build: Callable[[Path], object]) -> Path:
    """`make_folder` by one process at a time: another waits, with a warning, and has its folder.

    What killed processes left of the folder goes first. The lock beside it is the kernel's: that of
    a process that is killed is free. Where none can be had, it is `make_folder` alone.
    """
    from filelock import FileLock, Timeout

    if folder.exists():
        return folder
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), fallback_to_soft=False)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            warnings.warn(f"{folder} is made by another process; waiting for it", stacklevel=2)
            lock.acquire()
    except OSError:
        return make_folder(folder, build)
    try:
        remove_drafts_of(folder)
        return make_folder(folder, build)
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # who waits sees that, and makes another
        lock.release()


def remove_drafts_of(folder: Path) -> None:
    """Those that killed processes left of a folder; for who knows that nobody else makes it."""
    for draft in folder.parent.glob(f".{escape(folder.name)}-*"):
        shutil.rmtree(draft, ignore_errors=True)


def fill_folder(folder: Path, build: Callable[[Path], object]) -> None:
    """Fill `folder`, which is missing or empty, by `build`; it is as it was whatever that raises.

    One that is there, which may be where a volume is mounted, is filled in its place.
    """
    if not folder.exists():
        make_folder(folder, build)
        return
    try:
        build(folder)
    except BaseException:
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        raise


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files of these names into `folder`, made where it is missing: all, or none and no
    folder. Others in it stay. Raises OSError."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        replace_files({folder / name: content for name, content in files.items()})
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def replace_files(files: Mapping[Path, bytes]) -> None:
    """Write these files, in folders that exist: a reader finds each as it was, or whole.

    None is replaced before all are on the disk. Raises OSError that names the file, not its draft,
    and leaves nothing besides the old files, where they cannot be written.
    """
    path = Path()
    drafts = {path: path.with_name(f".{path.name}.{uuid4().hex}") for path in files}
    try:
        for path, draft in drafts.items():
            with draft.open("wb") as file:
                file.write(files[path])
                file.flush()
                os.fsync(file.fileno())  # some file systems tell only now that there was no room
        for path, draft in drafts.items():
            draft.replace(path)
    except BaseException as error:
        for draft in drafts.values():
            with suppress(OSError):
                draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _named(error, path, always=True) from error
        raise


def remove_drafts(folder: Path) -> None:
    """Remove the drafts of killed processes from a folder in which nobody else writes now.

    What cannot be removed is left.
    """
    for path in folder.glob(".*"):
        if DRAFT.fullmatch(path.name):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _named(error: OSError, path: Path, always: bool = False) -> OSError:
    """The same error of `path`, where it names no file, or `always`."""
    if error.errno is None or (error.filename and not always):
        return error
    return OSError(error.errno, error.strerror, str(path))
