"""A check of all cases that is kept beside the prepared volumes, so that nothing is read twice."""

from __future__ import annotations

import shutil
from pathlib import Path

from trainers.atomic import replace_files
from trainers.data.check.facts import DataCheck, Progress
from trainers.data.check.run import examine
from trainers.data.config import Preprocess
from trainers.data.source import DataSource
from trainers.volumes.settings import AffineRule


def kept_check(source: DataSource, folder: Path, rule: AffineRule) -> DataCheck | None:
    """What `keep_check` left in `folder`; None where there is none of these files and classes."""
    kept = _file(source, folder, rule)
    return DataCheck.model_validate_json(kept.read_bytes()) if kept.exists() else None


def keep_check(source: DataSource, folder: Path, progress: Progress, rule: AffineRule) -> DataCheck:
    """What `examine` says of the source, which is kept in `folder`.

    Faults are not: their mending may leave no trace on a file.
    """
    if known := kept_check(source, folder, rule):
        return known
    file = _file(source, folder, rule)
    finished = file.with_name(f".{file.stem}.unfinished")  # goes on there, were it killed
    check = examine(source, progress, rule, None, finished)
    if not any(one.fault for one in check.findings):
        replace_files({file: check.model_dump_json().encode()})
    shutil.rmtree(finished)
    return check


def _file(source: DataSource, folder: Path, rule: AffineRule) -> Path:
    """Named anew when a file or a class changes."""
    return folder / f"check-{source.fingerprint(Preprocess(affine=rule))}.json"
