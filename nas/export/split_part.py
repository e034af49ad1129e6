"""The cases of one part of an export's own split."""

from __future__ import annotations

from collections.abc import Sequence

from nas.export.export_folder import CONFIG, Export
from trainers.data.open_source import open_source
from trainers.data.source import Case
from trainers.data.source_split import split_source
from trainers.errors import UserError


def part_cases(export: Export, part: str) -> Sequence[Case]:
    """Those of the export's own data, from whatever source they come.

    part: `test` or `validation`. Raises UserError where the split has no such part, or the
    data are gone.
    """
    data, others = export.config.data, "give others with --images and --labels"
    try:
        source = open_source(data, export.folder)
        parts = split_source(source, data.split).parts
    except UserError as error:
        raise UserError(
            f"--part {part} needs the data of {export.folder / CONFIG}: {error}. Correct the key "
            f"data in that file, or {others}"
        ) from error
    if not (names := set(parts.get(part, ()))):
        there = ", ".join(f"{name} ({len(cases)})" for name, cases in parts.items())
        raise UserError(
            f"--part {part}: the split of {export.folder} has no {part} cases; it has {there}. "
            f"Choose another part, or {others}"
        )
    return [case for case in source.cases if case.name in names]
