"""Names to sources of data."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Any

from pydantic import PlainValidator, SerializeAsAny, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from trainers.data.datalist import DatalistData
from trainers.data.dicom_source import DicomData
from trainers.data.msd import MsdData
from trainers.data.nnunet import NnunetData
from trainers.data.phantom_source import PhantomData
from trainers.data.source import SourceConfig
from trainers.data.table import CsvData
from trainers.errors import UserError

ENTRY_POINTS = "segnas.data_sources"  # the group in which other packages offer sources
HERE: tuple[type[SourceConfig], ...] = (
    MsdData, PhantomData, NnunetData, CsvData, DatalistData, DicomData,
)  # fmt: skip


@cache
def all_sources() -> Mapping[str, type[SourceConfig]]:
    """The sources here, and those that installed packages offer as entry points.

    Raises UserError for an entry point that does not import, is no SourceConfig of its name, or
    takes a name that another source has.
    """
    sources = {kind.model_fields["source"].default: kind for kind in HERE}
    for entry in entry_points(group=ENTRY_POINTS):
        where = f"entry point {entry.name} = {entry.value}"
        try:
            kind = entry.load()
        except (ImportError, AttributeError) as error:
            raise UserError(f"{where}: {error}") from error
        if not _is_source(kind, entry.name):
            raise UserError(
                f'{where}: expected a SourceConfig with source: Literal["{entry.name}"] = '
                f'"{entry.name}"'
            )
        if entry.name in sources:
            raise UserError(f"{where}: another source has the name {entry.name}")
        sources[entry.name] = kind
    return sources


def find_source(name: str) -> type[SourceConfig]:
    """The configuration of the source of that name. Raises UserError with the names there are."""
    if name in all_sources():
        return all_sources()[name]
    near = difflib.get_close_matches(name, all_sources(), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UserError(f"{name!r} is no source of data.{hint} There are: {_names()}")


def _is_source(kind: Any, name: str) -> bool:
    fits = isinstance(kind, type) and issubclass(kind, SourceConfig)
    return fits and kind.model_fields["source"].default == name


def _names() -> str:
    return ", ".join(map(repr, all_sources()))


def _checked(values: Any, info: ValidationInfo) -> SourceConfig:
    """The configuration of the source that `values` name.

    Problems are placed as in a discriminated union: the source's name, then the key.
    """
    if isinstance(values, SourceConfig):
        return values
    name = values.get("source") if isinstance(values, dict) else None
    try:
        if not isinstance(name, str):
            raise UserError(f"expected keys and values, with a `source` of {_names()}")
        kind = find_source(name)
    except UserError as error:
        raise ValueError(str(error)) from error
    try:
        return kind.model_validate(values, context=info.context)
    except ValidationError as error:
        problems = [_placed(problem, name) for problem in error.errors()]
        raise ValidationError.from_exception_data(kind.__name__, problems) from None


def _placed(problem: ErrorDetails, source: str) -> InitErrorDetails:
    """The problem with the source's name before its key; its type and message stay."""
    kind = PydanticCustomError(problem["type"], problem["msg"], problem.get("ctx"))
    return InitErrorDetails(type=kind, loc=(source, *problem["loc"]), input=problem["input"])


DataConfig = Annotated[SerializeAsAny[SourceConfig], PlainValidator(_checked)]
"""The `data` of a run: keys of `SourceConfig` and those of the source that `source` names."""
