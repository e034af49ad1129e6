"""Which files are volumes, by their names, and which files make an image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from .errors import UserError

NIFTI = (".nii.gz", ".nii")
ITK = (".nrrd", ".mha", ".mhd")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
FORMATS = (NIFTI, ITK, PICTURES)
ENDINGS = (*NIFTI, *ITK, *PICTURES)  # in upper or lower case
CHANNEL = re.compile(r"(.+)_([0-9]{4})", re.DOTALL)
WRITTEN = {".jpg": ".png", ".jpeg": ".png", ".mhd": ".mha"}

Image = Path | tuple[Path, ...]
"""The file of an image, or its files, whose channels follow each other in their order."""


def one_or_all(files: Iterable[Path]) -> Image:
    """The image of these files; of one it is the file itself."""
    first, *others = files
    return (first, *others) if others else first


def files_of(image: Image) -> tuple[Path, ...]:
    """The files of an image."""
    return image if isinstance(image, tuple) else (image,)


def images_of(volumes: Mapping[str, Path], channels: int, folder: Path) -> dict[str, Image]:
    """Case name -> image for a network of so many channels, in the order of a folder's `volumes`.

    A file is a case. Where all names end as nnU-Net's do, `_0000` to the last channel, a case is
    all files that are named alike but for that; `_0000` alone may hold all channels. Raises
    UserError where a case lacks a channel.
    """
    grouped = _by_channel(volumes) or {}
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


def _by_channel(volumes: Mapping[str, Path]) -> dict[str, dict[int, Path]] | None:
    """Case -> channel -> file, of names that end in a number of four digits, as nnU-Net's do.

    None where one does not.
    """
    cases: dict[str, dict[int, Path]] = defaultdict(dict)
    for name, file in volumes.items():
        if (found := CHANNEL.fullmatch(name)) is None:
            return None
        cases[found[1]][int(found[2])] = file
    return dict(cases)


def voxel_files(file: Path) -> list[Path]:
    """The files that hold a volume's voxels besides its own, which a .mhd has."""
    if not has_ending(file, (".mhd",)):
        return []
    return [other for end in (".raw", ".zraw") if (other := file.with_suffix(end)).is_file()]


def volumes_among(files: Iterable[Path]) -> list[Path]:
    """Those files that are volumes of one kind, hidden ones and folders apart.

    NIfTI files; NRRD and MetaImage where there are none; pictures where there are none of those.
    """
    seen = [file for file in files if not file.name.startswith(".") and not file.is_dir()]
    kinds = ([file for file in seen if has_ending(file, endings)] for endings in FORMATS)
    return next((kind for kind in kinds if kind), [])


def has_ending(file: PurePath, endings: Sequence[str] = ENDINGS) -> bool:
    """Does its name end so, in upper or lower case?"""
    return file.name.lower().endswith(tuple(endings))


def ending_of(file: PurePath) -> str:
    """That of a volume as it is written, or nothing."""
    length = next((len(end) for end in ENDINGS if has_ending(file, (end,))), 0)
    return file.name[len(file.name) - length :]


def case_name(path: PurePath) -> str:
    """The file's name without the ending of a volume."""
    return path.name.removesuffix(ending_of(path))


def output_name(path: PurePath) -> str:
    """The name of what is made of an image: its own, with the ending in lower case.

    Of a JPEG, which changes numbers, it is a PNG; of a .mhd, which is two files, a .mha.
    """
    ending = ending_of(path).lower()
    return case_name(path) + WRITTEN.get(ending, ending)
