"""The source that reads a folder, for commands that are given nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainers.data.msd import MsdData
from trainers.data.registry import all_sources
from trainers.data.source import SourceConfig
from trainers.errors import UserError


def source_of(folder: Path, workdir: Path) -> SourceConfig:
    """The configuration of the source that can open `folder`: the Medical Segmentation Decathlon's
    layout first, then sources of installed packages that need a `path` alone.

    `workdir`: for what a source makes. Raises the UserError of the first where none can.
    """
    if not folder.is_dir():
        what = "no folder" if folder.exists() else "missing"
        raise UserError(
            f"{folder} is {what}; expected a folder with dataset.json, imagesTr and labelsTr"
        )
    first: UserError | None = None
    for kind in _by_path():
        try:
            config = kind.model_validate(
                {"source": kind.model_fields["source"].default, "path": folder}
            )
            config.open(workdir)
        except UserError as error:
            first = first or error
        else:
            return config
    assert first is not None  # there is the Decathlon's
    raise first


def _by_path() -> Iterator[type[SourceConfig]]:
    """The sources whose one key without a default is `path`."""
    yield MsdData
    for kind in all_sources().values():
        needed = {name for name, field in kind.model_fields.items() if field.is_required()}
        if kind is not MsdData and needed - {"source"} == {"path"}:
            yield kind
