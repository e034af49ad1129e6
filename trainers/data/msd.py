"""Folders in the layout of the Medical Segmentation Decathlon."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from trainers.data.dataset import Dataset
from trainers.data.msd_descriptor import (
    DESCRIPTOR,
    Descriptor,
    Pair,
    about_json,
    read_descriptor,
    refuse_nnunet_names,
)
from trainers.data.source import About, Case, SourceConfig
from trainers.data.volume_folder import MOST_NAMED, VOLUMES, find_volumes, strays
from trainers.errors import UserError, listed


class MsdData(SourceConfig):
    """A folder in the layout of the Medical Segmentation Decathlon: `path` holds dataset.json."""

    source: Literal["msd"] = "msd"
    path: Path

    def open(self, workdir: Path) -> Dataset:
        """The data set in `path`; nothing is made in `workdir`."""
        return read_msd(self.path)

    def about(self) -> About:
        """What dataset.json says; the folder's name where it is not at hand any more."""
        return about_json(self.path / DESCRIPTOR, self.path.name)


def read_msd(path: Path) -> Dataset:
    """The data set in `path`: dataset.json, imagesTr and labelsTr.

    Image and label are matched by file name; a name that occurs on one side only, or only in
    dataset.json, is a case too, for `check_dataset` to refuse. Warns of files that are left out.
    Raises UserError where the folder or dataset.json cannot be understood.
    """
    descriptor = read_descriptor(path)
    images, labels = (find_volumes(path / name, told=False) for name in ("imagesTr", "labelsTr"))
    refuse_nnunet_names(path, images, labels)
    _check_names(path, images, labels)
    _warn_of_strays(path)
    listed = {pair.case: pair for pair in descriptor.training or ()}
    _warn_of_unlisted(descriptor, images.keys() & labels.keys() - listed.keys())
    cases = []
    for name in sorted({*images, *labels, *listed}):
        image = images.get(name) or path / "imagesTr" / _file_name(name, labels, listed)
        cases.append(Case(name, image, labels.get(name) or path / "labelsTr" / image.name))
    if not cases:
        raise UserError(f"{path}: imagesTr has no {VOLUMES}; expected the volumes there")
    return Dataset(path, descriptor.modalities, descriptor.classes, tuple(cases))


def _check_names(path: Path, images: Mapping[str, Path], labels: Mapping[str, Path]) -> None:
    """Raises UserError where no label is named as an image is: names are meant otherwise here."""
    if images and labels and not images.keys() & labels.keys():
        image, label = (next(iter(files.values())).name for files in (images, labels))
        raise UserError(
            f"{path}: no label has the name of its image: imagesTr has {image}, labelsTr {label}; "
            "rename them, or list image and label of each case in a CSV table"
        )


def _file_name(name: str, labels: dict[str, Path], listed: dict[str, Pair]) -> str:
    """The file name that the missing image of a case should have."""
    return labels[name].name if name in labels else listed[name].image_file


def _warn_of_strays(path: Path) -> None:
    others = [
        f"{folder}/{file.name}"
        for folder in ("imagesTr", "labelsTr")
        for file in strays(sorted((path / folder).iterdir()))
        if not file.name.startswith(".")  # as tar leaves them of a Mac
    ]
    if others:
        warnings.warn(f"{path}: ignored {listed(others, MOST_NAMED)}", stacklevel=3)


def _warn_of_unlisted(descriptor: Descriptor, unlisted: set[str]) -> None:
    if descriptor.training is not None and unlisted:
        warnings.warn(
            f"dataset.json does not list {listed(sorted(unlisted), MOST_NAMED)}; used all the same",
            stacklevel=3,
        )
