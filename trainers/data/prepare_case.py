"""One prepared case in a folder of its own, until all are there and are put together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from trainers.atomic import make_folder
from trainers.data.cache import FILES
from trainers.data.source import Case
from trainers.volumes.geometry import Spacing3
from trainers.volumes.nifti import mended_before
from trainers.volumes.preprocess import prepare_image, prepare_label
from trainers.volumes.settings import Settings
from trainers.volumes.targets import Targets, is_in

INDEX = "case.json"
FOREGROUND_PER_CLASS = 10_000


@dataclass(frozen=True)
class CaseJob:
    """Which case becomes which folder, and how."""

    case: Case
    settings: Settings
    spacing: Spacing3 | None
    targets: Targets
    folder: Path


@dataclass(frozen=True)
class PreparedCase:
    """`FILES` of `folder`: of `shape` (D, H, W). `counts`: as in `Entry`."""

    folder: Path
    shape: tuple[int, int, int]
    counts: tuple[int, ...]


def prepare_case(job: CaseJob) -> PreparedCase:
    """Make the folder, whole or not at all, unless it is there.

    Raises UserError that names the file, OSError that names the folder.
    """
    try:
        make_folder(job.folder, lambda folder: _write(job, folder))
    except Exception as error:
        error.add_note(f"while case {job.case.name} was prepared")
        raise
    index = json.loads((job.folder / INDEX).read_text())
    return PreparedCase(job.folder, tuple(index["shape"]), tuple(index["counts"]))


def _write(job: CaseJob, folder: Path) -> None:
    with mended_before():  # what is wrong with a header was told by the check
        prepared = prepare_image(job.case.image, job.settings, job.spacing)
        label = prepare_label(job.case.label, prepared, job.targets.values)
    foreground = sample_foreground(label, job.targets)
    arrays = prepared.image, label, np.concatenate([*foreground, np.empty(0, np.int32)])
    for name, values in zip(FILES, arrays, strict=True):
        with (folder / name).open("wb") as file:
            file.write(np.ascontiguousarray(values).data)  # tofile says not why it failed
    counts = [len(indices) for indices in foreground]
    (folder / INDEX).write_text(json.dumps({"shape": label.shape, "counts": counts}))


def sample_foreground(label: np.ndarray, targets: Targets) -> list[np.ndarray]:
    """Flat int32 indices of the voxels of each foreground class or region, at most 10,000 of them.

    Where voxels are to be ignored, also of all others.
    """
    rng = np.random.default_rng(0)
    flat, found = label.ravel(), []
    masks = (is_in(flat, group) for group in targets.groups)
    annotated = () if targets.ignore is None else (flat != targets.ignore,)
    for mask in chain(masks, annotated):
        voxels = np.flatnonzero(mask).astype(np.int32)
        if len(voxels) > FOREGROUND_PER_CLASS:
            voxels = np.sort(rng.choice(voxels, FOREGROUND_PER_CLASS, replace=False))
        found.append(voxels)
    return found
