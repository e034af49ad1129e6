"""What can go wrong while a volume is read: damaged files, and more voxels than there is memory."""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nibabel.filebasedimages import ImageFileError
from nibabel.imageglobals import logger as nibabel_log
from nibabel.spatialimages import HeaderDataError

from .errors import UserError
from .files import ITK, PICTURES, has_ending
from .memory import free_memory

UNREADABLE = (ImageFileError, HeaderDataError, RuntimeError, OSError, EOFError, ValueError,
              zlib.error, KeyError, OverflowError, SyntaxError)  # fmt: skip
"""What nibabel, SimpleITK and Pillow raise for files that are damaged or something else."""
GZIP = b"\x1f\x8b"
HEADERS = tuple(size.to_bytes(4, end) for size in (348, 540) for end in ("little", "big"))
"""How NIfTI files begin that are not compressed."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """A block that reads `path`: what it raises becomes a UserError."""
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        told = error.strerror or "no such file, or no permission"  # nibabel's own has none
        raise UserError(f"{path} cannot be read: {_no_file(path) or told}") from error
    except UNREADABLE as error:
        kind = "NIfTI" if not has_ending(path, (*ITK, *PICTURES)) else path.suffix[1:].upper()
        told = _no_file(path) or _misnamed(path) or f"truncated or no {kind} file"
        raise UserError(f"{path} cannot be read: {told}") from error


@contextmanager
def nibabel_logs() -> Iterator[list[str]]:
    """What nibabel would print of a header that is not as it should be; its warnings are lost."""
    told: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        told.append(record.getMessage())
        return False

    nibabel_log.addFilter(keep)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield told
    finally:
        nibabel_log.removeFilter(keep)


def check_room(size: float, what: str) -> None:
    """Raises UserError where `size` bytes are more than the memory that is free."""
    if size > (free := free_memory()):
        raise UserError(
            f"{what} voxels, which take {size / 1e9:,.1f} GB of memory; {free / 1e9:,.1f} are free"
        )


def _misnamed(path: Path) -> str | None:
    """What is said of an empty file, and of one whose ending is wrong about its compression."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        return "it is empty"
    if has_ending(path, (".nii.gz",)) and start in HEADERS:
        return "it is not compressed; a name in .nii would fit"
    if has_ending(path, (".nii",)) and start.startswith(GZIP):
        return "it is compressed; a name in .nii.gz would fit"
    return None


def _no_file(path: Path) -> str | None:
    """What else than a file there is, as links of git-annex and unpacked archives have it."""
    if path.is_symlink() and not path.exists():
        return f"a link to {path.readlink()}, which is missing"
    return "a folder" if path.is_dir() else None
