"""Prepared volumes on the disk of the machine that reads them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import ray
from filelock import FileLock

from trainers.atomic import make_folder, remove_drafts_of

SPARE = 256 * 2**20  # bytes that a copy leaves free, for others


def volumes_here(
    shared: Path, driver: str | None, warn: Callable[[str], object] = warnings.warn
) -> Path:
    """Where this node reads `shared`: on all but the driver's (Ray's id of it), from a copy."""
    if driver is None or ray.get_runtime_context().get_node_id() == driver:
        return shared
    return local_copy(shared, warn=warn)


def local_copy(
    shared: Path,
    node_dir: Path | None = None,
    warn: Callable[[str], object] = warnings.warn,
) -> Path:
    """A copy on this machine of `shared`, the folder of a `VolumeCache`: one, however many ask.

    `node_dir`: where copies are, by default the user's own folder among the machine's temporary
    files. Where there is no room, or no copy can be made, `warn` is told, and `shared` is returned.
    Raises OSError where `shared` cannot be read.
    """
    sizes = _sizes(shared)
    node_dir = node_dir or Path(tempfile.gettempdir()) / f"segnas-{os.geteuid()}-volumes"
    copy = node_dir / _identity(shared)
    try:
        _make_own(copy.parent)
        with FileLock(copy.with_name(f"{copy.name}.lock"), fallback_to_soft=False):
            remove_drafts_of(copy)
            if copy.exists() and _sizes(copy) != sizes:  # who clears old files away takes some
                shutil.rmtree(copy)
            free = shutil.disk_usage(copy.parent).free
            if not copy.exists() and free < sum(sizes.values()) + SPARE:
                needed = (sum(sizes.values()) + SPARE) / 2**20
                raise OSError(f"{free / 2**20:.0f} MiB are free, {needed:.0f} MiB are needed")
            return make_folder(copy, lambda draft: _copy(shared, draft))
    except OSError as error:
        warn(f"the volumes in {shared} are read from there, uncopied to {copy.parent}: {error}")
        return shared


def _identity(shared: Path) -> str:
    """Of a folder that is named after all that its content depends on."""
    index = (shared / "index.json").read_bytes()
    return hashlib.sha256(shared.name.encode() + b"\0" + index).hexdigest()[:16]


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def _copy(shared: Path, draft: Path) -> None:
    """Contents without their times: a file that is new is not cleared away as an old one."""
    for path in shared.iterdir():
        shutil.copyfile(path, draft / path.name)


def _make_own(folder: Path) -> None:
    """Raises OSError where others may have put their files there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OSError(f"{folder} is a link, or others can write there")
