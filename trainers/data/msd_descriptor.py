"""dataset.json of the Medical Segmentation Decathlon: which numbers are which classes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from trainers.data.source import About
from trainers.errors import UserError
from trainers.read_json import read_json
from trainers.volumes.files import case_name

DESCRIPTOR = "dataset.json"
EXPECTED = 'Expected "modality": {"0": "CT"} and "labels": {"0": "background", "1": ...}'
PAIR = '{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}'
AS_THEY_LIE = "or list the files as they lie with a source of your own (docs/own-data-source.md)"


class Pair(BaseModel):
    """The files of a case, as they are listed. Folders do not count, and may be Windows's."""

    image: str
    label: str

    @property
    def image_file(self) -> str:
        """The file's name."""
        return _listed(self.image).name

    @property
    def case(self) -> str:
        """The name that the image gives to the case."""
        return case_name(_listed(self.image))

    @property
    def label_case(self) -> str:
        """The name that the label gives to it."""
        return case_name(_listed(self.label))


class Descriptor(NamedTuple):
    """Names by their numbers, and the cases that are listed; None where there is no list."""

    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    training: list[Pair] | None


class _File(BaseModel):
    modality: dict[str, str]
    labels: dict[str, str]
    training: list[Pair] | None = None


def read_descriptor(path: Path) -> Descriptor:
    """What the dataset.json of the folder `path` says. Raises UserError where it says nothing."""
    if not path.is_dir():
        raise UserError(f"{path} is no folder; set data.path to a folder with dataset.json in it")
    file = path / DESCRIPTOR
    if not file.is_file():
        raise UserError(
            f"{file} is missing; expected the folder of a Medical Segmentation Decathlon task "
            "(dataset.json, imagesTr, labelsTr)"
        )
    told = read_json(file)
    _refuse_nnunet(file, told)
    try:
        values = _File.model_validate(told)
    except ValidationError as error:
        raise UserError(f"{file} cannot be used:\n{problems_of(error)}\n{EXPECTED}") from error
    _check_pairs(file, values.training or ())
    classes = by_number(file, "labels", values.labels)
    if len(classes) < 2:
        raise UserError(f"{file}: labels has no class beside the background")
    return Descriptor(by_number(file, "modality", values.modality), classes, values.training)


def about_json(file: Path, name: str) -> About:
    """What a JSON file such as dataset.json says of the data; `name` where it is not at hand."""
    try:
        told = read_json(file)
    except UserError:
        told = None
    told = told if isinstance(told, dict) else {}
    facts = {key: str(told.get(key) or "") for key in ("description", "reference", "licence")}
    return About(str(told.get("name") or name), **facts)


def refuse_nnunet_names(path: Path, images: Collection[str], labels: Collection[str]) -> None:
    """Raises UserError where images without a label have one once `_0000` is off their names."""
    channels = {name: re.sub(r"_[0-9]{4}$", "", name) for name in images if name not in labels}
    named = sorted(name for name, case in channels.items() if case != name and case in labels)
    if named:
        raise UserError(
            f"{path}: imagesTr has names of nnU-Net, a file for each channel: {named[0]} for the "
            f"label {channels[named[0]]}. Take _0000 off the names and make channels one 4D image, "
            "or write dataset.json as nnU-Net's version 2 has it"
        )


def _listed(path: str) -> PurePath:
    return PurePosixPath(path) if "/" in path else PureWindowsPath(path)


def problems_of(error: ValidationError) -> str:
    """What is wrong with a file, a line each, without names of pydantic's types."""
    return "\n".join(f"  {_problem(dict(one))}" for one in error.errors()[:9])


def _problem(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error["loc"])) or "the file"
    if error["type"] in ("model_type", "dict_type"):
        return f"{where}: expected {PAIR if where.startswith('training.') else 'keys and values'}"
    if error["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {error['msg']}"


def _check_pairs(file: Path, pairs: Iterable[Pair]) -> None:
    """Refuse a list that says otherwise than the files' names, by which cases are paired."""
    for pair in pairs:
        if pair.label_case != pair.case:
            raise UserError(
                f"{file}: training lists the label {pair.label} for the image {pair.image}, but "
                f"the two go together by their names: name them alike, {AS_THEY_LIE}"
            )


def _refuse_nnunet(file: Path, told: Any) -> None:
    if not isinstance(told, dict):
        return
    mark = next((key for key in ("channel_names", "file_ending") if key in told), None)
    if mark:
        raise UserError(
            f"{file} is nnU-Net's (it has {mark}), not one of the Medical Segmentation Decathlon; "
            "set data.source to nnunet"
        )
    if turned := _turned(told.get("labels")):
        raise UserError(f"{file}: labels has numbers by name; write {_as_msd(turned)}")


def _turned(labels: Any) -> dict[str, str]:
    """Names by number, of numbers by name; empty for anything else."""
    if not isinstance(labels, dict) or not all(type(value) is int for value in labels.values()):
        return {}
    return {str(number): name for name, number in labels.items()}


def _as_msd(labels: Mapping[str, str]) -> str:
    return f'"labels": {json.dumps(labels, ensure_ascii=False)}'


def by_number(file: Path, key: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """The names in the order of their numbers."""
    numbered: dict[int, str] = {}  # number -> as it is written
    for text in names:
        if not re.fullmatch("[0-9]{1,9}", text):
            raise UserError(f"{file}: {key} has the key {text!r}; expected a number. {EXPECTED}")
        if (other := numbered.setdefault(int(text), text)) != text:
            raise UserError(
                f"{file}: {key} has {int(text)} twice, as {other!r} and as {text!r}; keep one"
            )
    if not numbered:
        raise UserError(f"{file}: {key} is empty. {EXPECTED}")
    if sorted(numbered) != list(range(len(numbered))):
        raise UserError(
            f"{file}: {key} has the keys {', '.join(map(str, sorted(numbered)))}; "
            "expected 0, 1, 2, ... without a gap"
        )
    return tuple(names[numbered[number]] for number in range(len(numbered)))
