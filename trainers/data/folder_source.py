"""The source that reads a folder or a file, for commands that are given nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from trainers.data.datalist import EXPECTED, DatalistData, is_datalist
from trainers.data.dicom_source import DicomData
from trainers.data.msd import MsdData
from trainers.data.msd_descriptor import DESCRIPTOR
from trainers.data.nnunet import NnunetData
from trainers.data.nnunet_descriptor import is_nnunet
from trainers.data.registry import HERE, all_sources
from trainers.data.source import SourceConfig
from trainers.data.table import CsvData
from trainers.data.undescribed import how_to_describe
from trainers.errors import UserError
from trainers.read_json import read_json

LAYOUTS = (
    "a folder with dataset.json, imagesTr and labelsTr, of the Medical Segmentation Decathlon or "
    "of nnU-Net, a CSV table or a JSON datalist of cases, or a folder of DICOM"
)


def is_data(path: Path) -> bool:
    """Is it a folder, a table or a datalist, and no configuration?"""
    return path.is_dir() or (path.is_file() and _list_kind(path) is not None)


def check_no_data(file: Path) -> None:
    """Raises UserError for JSON that is no configuration of a search: it was meant as data."""
    if file.suffix.lower() != ".json" or not file.is_file():
        return
    told = read_json(file)
    if isinstance(told, dict) and "data" in told:
        return
    if file.name == DESCRIPTOR:
        raise UserError(f"{file} describes a folder of data: give the folder, {file.parent}")
    raise UserError(f"{file} has neither a list `training` nor the keys of a search. {EXPECTED}")


def source_of(data: Path, workdir: Path, classes: Sequence[str] = ()) -> SourceConfig:
    """The configuration of the source that can open `data`, a folder or a file.

    By dataset.json in it, nnU-Net's or that of the Medical Segmentation Decathlon; by the only
    table or datalist in it, where it has no imagesTr; by DICOM files; then sources of installed
    packages that need a `path` alone.
    `workdir`: for what a source makes. `classes`: those that the numbers of labels stand for, where
    they are known, which a table may not say, and DICOM has no order of. Raises the UserError of
    the likeliest where none can.
    """
    if not is_data(data):
        check_no_data(data)
        what = "no data" if data.exists() else "missing"
        raise UserError(f"{data} is {what}; expected {LAYOUTS}")
    told: UserError | None = None
    if recognised := _recognised(data):
        try:
            return _opened(*recognised, workdir, classes)
        except UserError as error:
            told = error
    for kind in _installed():
        with suppress(UserError):
            return _opened(kind, data, workdir)
    raise told or UserError(_undescribed(data))


def _undescribed(data: Path) -> str:
    missing = f"{data / DESCRIPTOR} is missing; expected {LAYOUTS}"
    advice = how_to_describe(data)
    return f"{missing}.\n{advice}" if advice else missing


def _opened(
    kind: type[SourceConfig], path: Path, workdir: Path, classes: Sequence[str] = ()
) -> SourceConfig:
    told = {"classes": tuple(classes)} if classes and "classes" in kind.model_fields else {}
    source = kind.model_fields["source"].default
    config = kind.model_validate({"source": source, "path": path, **told})
    config.open(workdir)
    return config


def _recognised(data: Path) -> tuple[type[SourceConfig], Path] | None:
    """Which source here reads it, and the path that it is given."""
    descriptor = data / DESCRIPTOR
    files = sorted(data.iterdir()) if data.is_dir() else [data]
    lists = [(kind, file) for file in files if (kind := _list_kind(file)) and file != descriptor]
    if descriptor.exists() and ((data / "imagesTr").exists() or not lists):
        if lists:
            named = ", ".join(file.name for _, file in lists)
            warnings.warn(
                f"{data} is read as its {DESCRIPTOR} says, without {named}; to go by a list, give "
                "its file",
                stacklevel=2,
            )
        return (NnunetData if is_nnunet(read_json(descriptor)) else MsdData), data
    if len(lists) > 1:
        named = ", ".join(file.name for _, file in lists)
        raise UserError(f"{data} has several lists of cases, {named}; give the one that counts")
    if lists:
        return lists[0]
    return (DicomData, data) if _has_dicom(data) else None


def _has_dicom(data: Path) -> bool:
    from trainers.dicom import has_dicom  # with nibabel, which other layouts can do without

    return has_dicom(data)


def _installed() -> Iterator[type[SourceConfig]]:
    """The sources of other packages whose one key without a default is `path`."""
    for kind in all_sources().values():
        needed = {name for name, field in kind.model_fields.items() if field.is_required()}
        if kind not in HERE and needed - {"source"} == {"path"}:
            yield kind


def _list_kind(file: Path) -> type[SourceConfig] | None:
    """What reads this file, where it is a list of cases."""
    if file.suffix.lower() == ".csv":
        return CsvData
    if file.suffix.lower() != ".json":
        return None
    try:
        return DatalistData if is_datalist(read_json(file)) else None
    except UserError:
        return None
