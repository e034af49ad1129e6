"""dataset.json and splits_final.json of nnU-Net 2 (its documentation/dataset_format.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic import Field as Key

from trainers.data.msd_descriptor import DESCRIPTOR, by_number, problems_of
from trainers.data.targets import nnunet_targets
from trainers.errors import UserError, listed
from trainers.read_json import read_json
from trainers.volumes.files import ENDINGS
from trainers.volumes.targets import Targets

SPLITS = "splits_final.json"
EXPECTED = (
    'Expected "channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, '
    '"file_ending": ".nii.gz"'
)
SHOWN = 5  # names


class Files(BaseModel):
    """The files of a case where dataset.json lists them: absolute, or from its folder."""

    images: list[str] = Key(min_length=1)
    label: str


class NnunetDescriptor(NamedTuple):
    """Names by their numbers, the ending of all files, and what is said of the cases, if anything:
    how many there are, and the files of each."""

    modalities: tuple[str, ...]
    targets: Targets
    ending: str
    num_training: int | None
    files: Mapping[str, Files] | None


class _File(BaseModel):
    channel_names: dict[str, str]
    labels: dict[str, Any]
    regions_class_order: list[int] = []
    file_ending: str
    num_training: int | None = Key(default=None, alias="numTraining")
    dataset: dict[str, Files] | None = None


class _Fold(BaseModel):
    model_config = ConfigDict(extra="ignore")
    train: list[str]
    val: list[str]


def is_nnunet(told: Any) -> bool:
    """Has a dataset.json keys that only nnU-Net's have?"""
    return isinstance(told, dict) and not {"channel_names", "file_ending"}.isdisjoint(told)


def read_nnunet_descriptor(path: Path) -> NnunetDescriptor:
    """What the dataset.json of the folder `path` says. Raises UserError where it says nothing."""
    file = path / DESCRIPTOR
    if not file.is_file():
        raise UserError(
            f"{file} is missing; expected a raw folder of nnU-Net (dataset.json, imagesTr, "
            "labelsTr)"
        )
    told = read_json(file)
    if is_nnunet(told) and "modality" in told:
        raise UserError(
            f"{file} has modality, of the Medical Segmentation Decathlon, and keys of nnU-Net's; "
            "keep those of the layout that the files have"
        )
    try:
        values = _File.model_validate(told)
    except ValidationError as error:
        raise UserError(f"{file} cannot be used:\n{problems_of(error)}\n{EXPECTED}") from error
    if values.file_ending.lower() not in ENDINGS:
        raise UserError(
            f"{file}: file_ending is {values.file_ending!r}; expected one of {', '.join(ENDINGS)}"
        )
    return NnunetDescriptor(
        _told_apart(by_number(file, "channel_names", values.channel_names)),
        nnunet_targets(values.labels, values.regions_class_order, str(file)),
        values.file_ending,
        values.num_training,
        values.dataset,
    )


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """In nnU-Net a name says how a channel is normalised, and two may have one: CT and CT 1."""
    return tuple(
        f"{name} {number}" if name in names[:number] else name for number, name in enumerate(names)
    )


def read_splits(path: Path, names: Collection[str]) -> list[Mapping[str, str]]:
    """Case -> training or validation, fold by fold, of splits_final.json in the folder `path`.

    None where there is no such file. Raises UserError where it is something else, or names a case
    that is not among `names`, or is in two parts of a fold.
    """
    file = path / SPLITS
    if not file.exists():
        return []
    try:
        folds = TypeAdapter(list[_Fold]).validate_python(read_json(file))
    except ValidationError as error:
        expected = 'a list of folds, {"train": ["a", "b"], "val": ["c"]}'
        raise UserError(f"{file}: expected {expected}\n{problems_of(error)}") from error
    for number, fold in enumerate(folds):
        where = f"{file}: fold {number}"
        if both := sorted({*fold.train} & {*fold.val}):
            raise UserError(f"{where} has {listed(both, SHOWN)} in train and in val; keep one")
        if unknown := sorted({*fold.train, *fold.val} - {*names}):
            raise UserError(f"{where} names {listed(unknown, SHOWN)}, which the data do not have")
    return [
        {**dict.fromkeys(fold.train, "training"), **dict.fromkeys(fold.val, "validation")}
        for fold in folds
    ]
