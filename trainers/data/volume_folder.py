"""The NIfTI files that lie in a folder, by the names of their cases."""

from __future__ import annotations

import warnings
from pathlib import Path, PurePath

from trainers.errors import UserError, listed
from trainers.volumes.files import ENDINGS, is_volume

MOST_NAMED = 10  # files that are left out


def find_volumes(folder: Path, told: bool = True) -> dict[str, Path]:
    """Case name -> file, in order of file name.

    `told`: warns in one line of what else lies there, hidden files apart. Raises UserError where
    the folder is none, or two files are named alike but for the ending or for upper and lower case:
    what is made of them would have one name.
    """
    if not folder.is_dir():
        what = "no folder" if folder.exists() else "missing"
        raise UserError(f"{folder} is {what}; expected a folder of NIfTI volumes")
    volumes: dict[str, Path] = {}
    files = sorted(folder.iterdir())
    for file in filter(is_volume, files):
        if (twin := volumes.setdefault(case_name(file).casefold(), file)) != file:
            raise UserError(f"{folder} has both {twin.name} and {file.name}; remove one")
    others = [f.name for f in files if not is_volume(f) and not f.name.startswith(".")]
    if told and others:
        named = listed(others, MOST_NAMED)
        warnings.warn(f"{folder}: ignored {named} (no .nii or .nii.gz file)", stacklevel=2)
    return {case_name(file): file for file in volumes.values()}


def case_name(path: PurePath) -> str:
    """The file's name without .nii or .nii.gz."""
    ending = next((end for end in ENDINGS if path.name.lower().endswith(end)), "")
    return path.name[: len(path.name) - len(ending)]


def output_name(path: PurePath) -> str:
    """The name of what is made of an image: its own, with the ending in lower case."""
    name = case_name(path)
    return name + path.name[len(name) :].lower()
