"""Folders in the layout of the Medical Segmentation Decathlon."""

import json
import warnings
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ValidationError

from trainers.data.dataset import Dataset
from trainers.data.source import About, Case, SourceConfig
from trainers.data.volume_folder import case_name, find_volumes, is_volume
from trainers.errors import UserError


class MsdData(SourceConfig):
    """A folder in the layout of the Medical Segmentation Decathlon: `path` holds dataset.json."""

    source: Literal["msd"] = "msd"
    path: Path

    def open(self, workdir: Path) -> Dataset:
        """The data set in `path`; nothing is made in `workdir`."""
        return read_msd(self.path)

    def about(self) -> About:
        """What dataset.json says; the folder's name where it is not at hand any more."""
        try:
            told = json.loads((self.path / "dataset.json").read_text())
        except (OSError, ValueError):
            told = None
        told = told if isinstance(told, dict) else {}
        facts = {
            name: str(told.get(name) or "") for name in ("description", "reference", "licence")
        }
        return About(str(told.get("name") or self.path.name), **facts)


class _Pair(BaseModel):
    image: str
    label: str


class _Descriptor(BaseModel):
    modality: dict[int, str]
    labels: dict[int, str]
    training: list[_Pair] | None = None


def read_msd(path: Path) -> Dataset:
    """The data set in `path`: dataset.json, imagesTr and labelsTr.

    Image and label are matched by file name; a name that occurs on one side only, or only in
    dataset.json, is a case too, for `check_dataset` to refuse. Warns of files that are no NIfTI.
    Raises UserError where the folder or dataset.json cannot be understood.
    """
    descriptor = _read_descriptor(path)
    images, labels = (find_volumes(path / name, told=False) for name in ("imagesTr", "labelsTr"))
    _warn_of_strays(path)
    listed = {case_name(PurePosixPath(p.image)): p for p in descriptor.training or ()}
    _warn_of_unlisted(descriptor, images.keys() & labels.keys() - listed.keys())
    cases = []
    for name in sorted({*images, *labels, *listed}):
        image = images.get(name) or path / "imagesTr" / _file_name(name, labels, listed)
        cases.append(Case(name, image, labels.get(name) or path / "labelsTr" / image.name))
    if not cases:
        raise UserError(f"{path}: imagesTr has no .nii or .nii.gz file; expected the volumes there")
    return Dataset(
        path,
        _values(path, "modality", descriptor.modality),
        _values(path, "labels", descriptor.labels),
        tuple(cases),
    )


def _read_descriptor(path: Path) -> _Descriptor:
    if not path.is_dir():
        raise UserError(f"{path} is no folder; set data.path to a folder with dataset.json in it")
    file = path / "dataset.json"
    if not file.is_file():
        raise UserError(
            f"{file} is missing; expected the folder of a Medical Segmentation Decathlon task "
            "(dataset.json, imagesTr, labelsTr)"
        )
    try:
        return _Descriptor.model_validate_json(file.read_bytes())
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()
        )
        raise UserError(
            f"{file} cannot be used:\n{problems}\n"
            'Expected "modality": {"0": "CT"} and "labels": {"0": "background", "1": ...}'
        ) from error


def _file_name(name: str, labels: dict[str, Path], listed: dict[str, _Pair]) -> str:
    """The file name that the missing image of a case should have."""
    return labels[name].name if name in labels else PurePosixPath(listed[name].image).name


def _values(path: Path, key: str, values: dict[int, str]) -> tuple[str, ...]:
    if not values or sorted(values) != list(range(len(values))):
        raise UserError(
            f"{path / 'dataset.json'}: {key} has the keys {', '.join(map(str, sorted(values)))}; "
            "expected 0, 1, 2, ... without a gap"
        )
    if key == "labels" and len(values) < 2:
        raise UserError(f"{path / 'dataset.json'}: labels has no class beside the background")
    return tuple(values[index] for index in range(len(values)))


def _warn_of_strays(path: Path) -> None:
    strays = [
        f"{folder}/{file.name}"
        for folder in ("imagesTr", "labelsTr")
        for file in sorted((path / folder).iterdir())
        if not is_volume(file)
    ]
    if strays:
        warnings.warn(f"{path}: ignored {', '.join(strays)}", stacklevel=3)


def _warn_of_unlisted(descriptor: _Descriptor, unlisted: set[str]) -> None:
    if descriptor.training is not None and unlisted:
        warnings.warn(
            f"dataset.json does not list {', '.join(sorted(unlisted))}; used all the same",
            stacklevel=3,
        )
