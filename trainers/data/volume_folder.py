"""The volumes that lie in a folder, by the names of their cases."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterable
from pathlib import Path

from trainers.errors import UserError, listed
from trainers.volumes.files import (
    ENDINGS,
    FORMATS,
    NIFTI,
    PICTURES,
    Image,
    case_name,
    has_ending,
    images_of,
    volumes_among,
    voxel_files,
)

MOST_NAMED = 10  # files that are left out
VOLUMES = f".nii or .nii.gz file, and none of {', '.join(ENDINGS[len(NIFTI) :])}"


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


def find_images(folder: Path, channels: int, known: Container[str] = ()) -> dict[str, Image]:
    """Case name -> image for a network of so many channels, in order of name; see `images_of`.

    `known`: names of cases; where a file is called so, files of one channel are cases as they are.
    Raises UserError as `find_volumes` does, and where a case lacks a channel.
    """
    volumes = find_volumes(folder)
    if channels == 1 and any(name in known for name in volumes):
        return dict(volumes)
    return images_of(volumes, channels, folder)


def is_dicom(images: Path) -> bool:
    """Whether it is a folder of DICOM series, beside which previews may lie.

    Raises UserError where it holds volumes besides.
    """
    from trainers.dicom import has_dicom  # with it comes nibabel

    if not images.is_dir() or not has_dicom(images):
        return False
    if not all(has_ending(file, PICTURES) for file in find_volumes(images, told=False).values()):
        raise UserError(f"{images} holds NIfTI and DICOM; give each a folder of its own")
    return True


def _kind(volumes: Iterable[Path]) -> str:
    """The endings that are read beside these."""
    first = next(iter(volumes), None)
    endings = next((kind for kind in FORMATS if first and has_ending(first, kind)), NIFTI)
    *others, last = sorted(endings, key=len)
    return f"{', '.join(others)} or {last}"
