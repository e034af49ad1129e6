"""Cases that a datalist of MONAI lists: JSON with training, validation and test."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from trainers.data.case_list import Entry, list_cases, read_facts, unread
from trainers.data.config import OwnSplit, SharesOrFile
from trainers.data.dataset import Dataset
from trainers.data.msd_descriptor import about_json, problems_of
from trainers.data.source import About, SourceConfig
from trainers.errors import UserError, shortened

PARTS = {"training": "training", "validation": "validation", "test": "test", "testing": "test"}
TRAINING = "training"
EXPECTED = (
    'Expected "training": [{"image": "a.nii.gz", "label": "a_seg.nii.gz", "fold": 0}, ...]; image '
    "may be a list of files, a channel each"
)


class DatalistData(SourceConfig):
    """A datalist of MONAI, as Auto3DSeg reads: `path` is a JSON file with the list `training`.

    An entry has `image`, one file or a list of one for each channel, `label`, and if you like
    `case`, `group` and `fold`. Further lists: `validation`, `test` or `testing`. Paths are absolute
    or relative to `root`, by default the file's folder. The split is that of the lists or, of
    entries with folds, `split: {fold: 0}`, unless `split` says otherwise.

    `classes`: names in the order of a label's numbers, the background first; by default `labels` of
    the file. `modalities`: names of the channels; by default `modality` or `channel_names`.
    """

    source: Literal["datalist"] = "datalist"
    path: Path
    root: Path | None = None
    classes: tuple[str, ...] | None = None
    modalities: tuple[str, ...] | None = None
    split: SharesOrFile = OwnSplit()

    def open(self, workdir: Path) -> Dataset:
        """The cases of the list that have labels; nothing is made in `workdir`."""
        if not self.path.is_file():
            what = "no file" if self.path.exists() else "missing"
            raise UserError(f"{self.path} is {what}; set data.path to a JSON datalist")
        told = read_facts(self.path)
        entries = list(_entries(self.path, told, self.root or self.path.parent))
        return list_cases(self.path, entries, self.classes, self.modalities, told, self.path)

    def about(self) -> About:
        """What the file says, else its name."""
        return about_json(self.path, self.path.stem)


class _Item(BaseModel):
    image: str | list[str] = Field(min_length=1)
    label: str | None = None
    case: str = ""
    group: str = ""
    fold: int | None = None
    model_config = ConfigDict(extra="allow")  # said, and not read

    def images(self, root: Path) -> tuple[Path, ...]:
        names = [self.image] if isinstance(self.image, str) else self.image
        return tuple(root / name for name in names)


def is_datalist(told: Any) -> bool:
    """Is this content of a JSON file a list of cases?"""
    return isinstance(told, dict) and isinstance(told.get(TRAINING), list)


def _entries(file: Path, told: Mapping[str, Any], root: Path) -> Iterator[Entry]:
    if not is_datalist(told):
        raise UserError(f"{file} has no list `training`. {EXPECTED}")
    names = told[TRAINING]
    if names and all(isinstance(name, str) for name in names):
        raise UserError(
            f"{file} lists {shortened(names[0])!r} and others by name alone, as the split of a "
            f"search does; it is no data. {EXPECTED}"
        )
    for key, value in told.items():
        if key not in PARTS and _lists_cases(value):
            expected = "training, validation, and test or testing"
            raise UserError(f"{file} has cases in a list `{key}`; expected the lists {expected}")
    items = [(part, item) for key, part in PARTS.items() for item in _items(file, key, told)]
    folds = _folds(file, items)
    if unlabelled := sum(item.label is None for _, item in items):
        warnings.warn(f"{file}: {unlabelled} entries without a label are left out", stacklevel=2)
    if others := list(dict.fromkeys(key for _, item in items for key in item.model_extra or ())):
        ignored = unread("key", others, group=any(item.group for _, item in items), split=True)
        warnings.warn(f"{file}: ignored {ignored}", stacklevel=2)
    only_training = folds == 1 and all(part == TRAINING for part, _ in items)
    for part, item in items:
        if item.label is None:
            continue
        folded = item.fold if part == TRAINING else None  # a test may have numbers that say nothing
        parts = tuple("validation" if folded == k else part for k in range(folds))
        where = () if only_training else parts
        yield Entry(item.images(root), root / item.label, item.case, item.group, where)


def _lists_cases(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(one, dict) and {"image", "label"} <= one.keys() for one in value
    )


def _items(file: Path, key: str, told: Mapping[str, Any]) -> list[_Item]:
    """The entries of one list; those of a test may be names of images alone."""
    found = told.get(key, [])
    if isinstance(found, list):
        found = [{"image": entry} if isinstance(entry, str) else entry for entry in found]
    try:
        return TypeAdapter(list[_Item]).validate_python(found)
    except ValidationError as error:
        raise UserError(f"{file}, {key}:\n{problems_of(error)}\n{EXPECTED}") from error


def _folds(file: Path, items: list[tuple[str, _Item]]) -> int:
    """How many splits there are: folds, or the one of the lists."""
    numbers = {item.fold for part, item in items if part == TRAINING}
    if numbers == {None}:
        return 1
    if None in numbers:
        raise UserError(f"{file}: entries of training with and without a fold; expected one each")
    if numbers != set(range(len(numbers))):
        told = ", ".join(map(str, sorted(n for n in numbers if n is not None)))
        raise UserError(f"{file} has the folds {told}; expected 0, 1, 2, ... without a gap")
    if any(part == "validation" for part, _ in items):
        raise UserError(f"{file} has folds and a list `validation`; expected one or the other")
    return len(numbers)
