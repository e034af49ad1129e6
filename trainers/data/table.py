"""Cases that a CSV table lists."""

from __future__ import annotations

import csv
import difflib
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from trainers.data.case_list import Entry, list_cases, read_facts, unread
from trainers.data.config import OwnSplit, SharesOrFile
from trainers.data.dataset import Dataset
from trainers.data.msd_descriptor import DESCRIPTOR, about_json
from trainers.data.source import About, SourceConfig
from trainers.errors import UserError, listed
from trainers.home import from_home
from trainers.read_text import read_text

MOST = 64 << 20  # bytes
SHOWN = 5  # rows
KNOWN = ("image", "label", "case", "group", "split")
PARTS = {
    **dict.fromkeys(("training", "train"), "training"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
    "": "",
}


class CsvData(SourceConfig):
    """A table with a row for each case: `path` is a CSV file with the columns image and label.

    In place of `image` there may be several, such as image_T1 and image_FLAIR: a file for each
    channel. Paths are absolute or relative to the table. Optional columns: `case`, its name;
    `group`, what cases share that stay together, such as a patient; `split`, which is training,
    validation or test, and is the split unless the key `split` says otherwise.

    `classes`: names in the order of a label's numbers, the background first; by default those of
    dataset.json beside the table. `modalities`: names of the channels; by default those of the
    columns.
    """

    source: Literal["csv"] = "csv"
    path: Path
    classes: tuple[str, ...] | None = None
    modalities: tuple[str, ...] | None = None
    split: SharesOrFile = OwnSplit()

    def open(self, workdir: Path) -> Dataset:
        """The cases of the table; nothing is made in `workdir`."""
        columns, entries = _read_table(self.path)
        described_by = self.path.parent / DESCRIPTOR
        facts = read_facts(described_by)
        own = tuple(name[len("image_") :] for name in columns) if columns != ["image"] else None
        modalities = self.modalities or own
        return list_cases(self.path, entries, self.classes, modalities, facts, described_by)

    def about(self) -> About:
        """What dataset.json beside the table says, else the table's name."""
        return about_json(self.path.parent / DESCRIPTOR, self.path.stem)


def _read_table(path: Path) -> tuple[list[str], list[Entry]]:
    """The columns of images, and the cases. Raises UserError."""
    if not path.is_file():
        what = "no file" if path.exists() else "missing"
        raise UserError(f"{path} is {what}; set data.path to a CSV table of cases")
    lines = re.split("\r\n?|\n", read_text(path, "CSV table", MOST).lstrip("\r\n"))
    if re.fullmatch("sep=.", lines[0].strip('"'), re.IGNORECASE):  # Excel's, which says no column
        del lines[0]
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    entries, apart = [], list[str]()
    try:
        columns = _columns(path, reader.fieldnames or ())
        images = _image_columns(path, columns)
        _warn_of_unread(path, columns, images)
        for row in reader:
            cells = {name: (row[written] or "").strip() for name, written in columns.items()}
            if None in row:
                raise UserError(f"{path}: row {reader.line_num} has more cells than columns")
            if any(cells.values()):
                entries.append(_entry(path, reader.line_num, images, cells))
                if not cells.get("split"):
                    apart.append(str(reader.line_num))
    except csv.Error as error:
        raise UserError(f"{path} is no CSV table: {error}") from error
    if apart and len(apart) < len(entries):
        raise UserError(
            f"{path}: without a split: row {listed(apart, SHOWN)}; expected training, validation "
            "or test in every row, or in none"
        )
    if apart:
        return images, [Entry(e.images, e.label, e.name, e.group) for e in entries]
    return images, entries


def _columns(path: Path, written: Sequence[str]) -> Mapping[str, str]:
    """Name in lower case -> as it is written."""
    columns: dict[str, str] = {}
    for name in filter(str.strip, written):
        if (other := columns.setdefault(name.strip().lower(), name)) is not name:
            raise UserError(f"{path} has the columns {other} and {name}; expected one of them")
    return columns


def _image_columns(path: Path, columns: Mapping[str, str]) -> list[str]:
    several = [written for name, written in columns.items() if name.startswith("image_")]
    if "image" in columns and several:
        raise UserError(f"{path} has the columns image and {several[0]}; expected one or the other")
    if "label" not in columns or not ("image" in columns or several):
        found = ", ".join(columns) or "none"
        raise UserError(
            f"{path} has the columns {found}; expected image and label, or image_T1, image_T2 and "
            "so on in place of image"
        )
    for name in columns:
        near = difflib.get_close_matches(name, KNOWN, n=1)
        if name not in KNOWN and near and near[0] not in columns and columns[name] not in several:
            raise UserError(f"{path} has a column {columns[name]}. Did you mean {near[0]}?")
    return [name.strip() for name in several] or ["image"]


def _warn_of_unread(path: Path, columns: Mapping[str, str], images: Sequence[str]) -> None:
    """Of columns that mean nothing here: a patient's, or a fold, would be lost without a word."""
    read = {*KNOWN, *(name.lower() for name in images)}
    if others := [written.strip() for name, written in columns.items() if name not in read]:
        told = unread("column", others, "group" in columns, "split" in columns)
        warnings.warn(f"{path}: ignored {told}", stacklevel=2)


def _entry(path: Path, number: int, images: Sequence[str], cells: Mapping[str, str]) -> Entry:
    files = {name: cells[name.lower()] for name in (*images, "label")}
    if missing := [name for name, file in files.items() if not file]:
        raise UserError(f"{path}: row {number} has no {', '.join(missing)}; expected a path")
    part = cells.get("split", "")
    if part.lower() not in PARTS:
        raise UserError(
            f"{path}: row {number} has the split {part!r}; expected training, validation or test"
        )
    *image_files, label = (path.parent / from_home(file) for file in files.values())
    return Entry(
        tuple(image_files),
        label,
        cells.get("case", ""),
        cells.get("group", ""),
        (PARTS[part.lower()],),
    )
