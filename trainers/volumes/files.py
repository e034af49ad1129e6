"""Which files are NIfTI volumes, by their names."""

from __future__ import annotations

from pathlib import Path

ENDINGS = (".nii.gz", ".nii")  # in upper or lower case


def is_volume(file: Path) -> bool:
    """Is it a file called .nii or .nii.gz, and not hidden?"""
    return has_ending(file) and not file.name.startswith(".") and not file.is_dir()


def has_ending(file: Path) -> bool:
    """Is it called .nii or .nii.gz, in upper or lower case?"""
    return file.name.lower().endswith(ENDINGS)
