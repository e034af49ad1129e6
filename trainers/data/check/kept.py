"""A check of all cases that is kept beside the prepared volumes, so that nothing is read twice."""

from __future__ import annotations

from pathlib import Path

from trainers.atomic import replace_files
from trainers.data.check.facts import DataCheck, Progress
from trainers.data.check.run import examine
from trainers.data.config import Preprocess
from trainers.data.source import DataSource
from trainers.volumes.settings import AffineRule


def kept_check(
    source: DataSource, folder: Path, progress: Progress | None = None, rule: AffineRule = "sform"
) -> DataCheck:
    """What `examine` says of the source; kept in `folder` until a file or its classes change.

    Faults are not kept: their mending may leave no trace on the file.
    """
    kept = folder / f"check-{source.fingerprint(Preprocess(affine=rule))}.json"
    if kept.exists():
        return DataCheck.model_validate_json(kept.read_bytes())
    check = examine(source, progress, rule)
    if not any(one.fault for one in check.findings):
        folder.mkdir(parents=True, exist_ok=True)
        replace_files({kept: check.model_dump_json().encode()})
    return check
