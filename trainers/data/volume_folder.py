"""The volumes that lie in a folder, by the names of their cases."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from trainers.errors import UserError, listed
from trainers.volumes.files import (
    ENDINGS,
    FORMATS,
    NIFTI,
    Image,
    case_name,
    has_ending,
    one_or_all,
    volumes_among,
    voxel_files,
)

MOST_NAMED = 10  # files that are left out
VOLUMES = f".nii or .nii.gz file, and none of {', '.join(ENDINGS[len(NIFTI) :])}"
CHANNEL = re.compile(r"(.+)_([0-9]{4})", re.DOTALL)


def find_volumes(folder: Path, told: bool = True) -> dict[str, Path]:
    """Case name -> file, in order of file name; see `volumes_among`.

    `told`: warns in one line of what else lies there, hidden files apart. Raises UserError where
    the folder is none, or two files are named alike but for the ending or for upper and lower case:
    what is made of them would have one name.
    """
    if not folder.is_dir():
        what = "no folder" if folder.exists() else "missing"
        raise UserError(
            f"{folder} is {what}; expected a folder of NIfTI, NRRD, MetaImage or picture files"
        )
    volumes: dict[str, Path] = {}
    files = sorted(folder.iterdir())
    for file in volumes_among(files):
        if (twin := volumes.setdefault(case_name(file).casefold(), file)) != file:
            raise UserError(f"{folder} has both {twin.name} and {file.name}; remove one")
    others = [file.name for file in strays(files) if not file.name.startswith(".")]
    if told and others:
        named, kind = listed(others, MOST_NAMED), _kind(volumes.values())
        warnings.warn(f"{folder}: ignored {named} (no {kind} file)", stacklevel=2)
    return {case_name(file): file for file in volumes.values()}


def strays(files: Iterable[Path]) -> list[Path]:
    """What is no volume that `find_volumes` finds among these, and belongs to none."""
    files = list(files)
    volumes = volumes_among(files)
    read = {*volumes, *(other for volume in volumes for other in voxel_files(volume))}
    return [file for file in files if file not in read]


def find_images(folder: Path, channels: int) -> dict[str, Image]:
    """Case name -> image for a network of so many channels, in order of name.

    A file is a case. Where all names end as nnU-Net's do, `_0000` to the last channel, a case is
    all files that are named alike but for that; `_0000` alone may hold all channels. Raises
    UserError as `find_volumes` does, and where a case lacks a channel.
    """
    volumes = find_volumes(folder)
    grouped = by_channel(volumes) or {}
    found = [set(files) for files in grouped.values()]
    wanted = set(range(channels))
    if found and all(numbers == {0} for numbers in found):
        return {name: files[0] for name, files in grouped.items()}
    if wanted not in found:
        return dict(volumes)
    for name, files in grouped.items():
        if set(files) != wanted:
            numbers = ", ".join(f"_{number:04}" for number in sorted(files))
            raise UserError(
                f"{folder}: {name} has the channels {numbers}; the network expects _0000 to "
                f"_{channels - 1:04}"
            )
    return {
        name: one_or_all(files[number] for number in range(channels))
        for name, files in grouped.items()
    }


def by_channel(volumes: Mapping[str, Path]) -> dict[str, dict[int, Path]] | None:
    """Case -> channel -> file, of names that end in a number of four digits, as nnU-Net's do.

    None where one does not.
    """
    cases: dict[str, dict[int, Path]] = defaultdict(dict)
    for name, file in volumes.items():
        if (found := CHANNEL.fullmatch(name)) is None:
            return None
        cases[found[1]][int(found[2])] = file
    return dict(cases)


def _kind(volumes: Iterable[Path]) -> str:
    """The endings that are read beside these."""
    first = next(iter(volumes), None)
    endings = next((kind for kind in FORMATS if first and has_ending(first, kind)), NIFTI)
    *others, last = sorted(endings, key=len)
    return f"{', '.join(others)} or {last}"
