"""A data set onto the disk: downloaded, checked, unpacked; whole, or not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from trainers.atomic import make_folder, output_folder, remove_drafts_of
from trainers.data.fetch.download import Progress, download
from trainers.data.fetch.open_sets import CITE, LICENCE, MIRROR, OpenSet
from trainers.data.fetch.unpack import unpack
from trainers.data.msd_descriptor import DESCRIPTOR
from trainers.errors import UserError, listed

RECORD = "fetched.json"


def fetch(which: OpenSet, to: Path, progress: Progress, mirror: str = MIRROR) -> Path:
    """The folder of the set in the folder `to`, in the layout of the Decathlon.

    One that an earlier call made, and that has all its files, stays as it is. The archive is taken
    from `mirror`/FOLDER.tar; a call that was interrupted is gone on with, and its set is not there
    before it is whole. Raises UserError where it cannot be had, and OSError for a disk that is full
    while it is unpacked.
    """
    address = archive_address(which, mirror)
    folder = output_folder(to) / which.folder
    with _alone(to, which):
        if folder.exists():
            _check_whole(folder)
            return folder
        archive = to / f".{which.archive}"
        if not archive.exists():  # else it was checked, and then unpacking was interrupted
            download(address, archive, which.md5, progress)
        remove_drafts_of(folder)

        def build(draft: Path) -> None:
            files = unpack(archive, which.folder, draft, progress)
            if DESCRIPTOR not in files:
                raise UserError(f"{archive} has no {DESCRIPTOR}; not unpacked")
            about = {"source": address, "md5": which.md5, "licence": LICENCE, "cite": CITE}
            (draft / RECORD).write_text(json.dumps({**about, "files": files}, indent=1))

        make_folder(folder, build)
        archive.unlink()
    return folder


def archive_address(which: OpenSet, mirror: str = MIRROR) -> str:
    """Where the set's archive is. Raises UserError for a mirror that is no web address."""
    parts = urlsplit(mirror)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UserError(
            f"--mirror {mirror}: expected an address that begins with https:// or http://"
        )
    return f"{mirror.rstrip('/')}/{which.archive}"


@contextmanager
def _alone(to: Path, which: OpenSet) -> Iterator[None]:
    """Two that write one archive would spoil it. The lock of a killed process is free."""
    try:
        with FileLock(to / f".{which.folder}.lock", blocking=False):
            yield
    except Timeout:
        raise UserError(
            f"{to}: {which.folder} is being fetched there already; wait for it"
        ) from None


def _check_whole(folder: Path) -> None:
    """Raise UserError where the folder is not one that `fetch` made, or has lost files."""
    try:
        files = json.loads((folder / RECORD).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder} is there, and was not fetched: use it as it is, or give --to another folder"
        ) from None
    sizes = {name: (folder / name).stat().st_size for name in files if (folder / name).is_file()}
    if lost := [name for name in files if sizes.get(name) != files[name]]:
        raise UserError(
            f"{folder} was fetched, and has lost or changed {listed(lost, 3)}; delete the folder "
            "to fetch it again"
        )
