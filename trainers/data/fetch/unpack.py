"""A tar archive of a data set, unpacked so that it can do no harm."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath

from trainers.data.fetch.download import Progress
from trainers.errors import UserError

MACOS = "._"  # begins the names of files that macOS's tar adds to say more of others


def unpack(archive: Path, folder: str, into: Path, progress: Progress) -> dict[str, int]:
    """Unpack what the uncompressed tar `archive` has in its folder `folder` into the folder `into`.

    Returns the files' names in there, and their bytes. Files and folders only: a link, a device, a
    place outside of `folder`, a file that is there already, or more bytes than the archive itself
    has end it with a UserError; what was unpacked until then stays. Rights, owners and times are
    not taken over.
    """
    files: dict[str, int] = {}
    room = archive.stat().st_size
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                if PurePosixPath(member.name).name.startswith(MACOS):
                    continue
                place = _place(member, folder, archive)
                if member.isdir():
                    (into / place).mkdir(parents=True, exist_ok=True)
                    continue
                if sum(files.values()) + member.size > room:
                    raise UserError(f"{archive} says that it holds more than it does; not unpacked")
                _copy(tar, member, into / place)
                files[str(place)] = member.size
                progress(min(member.offset_data + member.size, room), room, "unpacked")
    except tarfile.TarError as error:
        raise UserError(f"{archive} is no tar archive that can be read: {error}") from error
    return files


def _place(member: tarfile.TarInfo, folder: str, archive: Path) -> PurePosixPath:
    """Where it belongs in the set's folder. Raises UserError where it does not."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != (folder,):
        raise UserError(f"{archive} has {member.name!r}, outside of {folder}; not unpacked")
    if not (member.isreg() or member.isdir()):
        raise UserError(f"{archive} has {member.name!r}, a link or a device; not unpacked")
    return path.relative_to(folder)


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None, "a regular file has content"
    with source, to.open("xb") as file:
        shutil.copyfileobj(source, file)
