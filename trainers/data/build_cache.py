"""Volumes checked and prepared, once, for a `VolumeCache`."""

import json
import math
import shutil
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from trainers.atomic import make_folder_once, output_folder
from trainers.data.cache import CHECK, FILES, Entry, VolumeCache
from trainers.data.check import Progress, examine
from trainers.data.check.finding import refuse
from trainers.data.config import Preprocess
from trainers.data.memory import memory_of
from trainers.data.prepare_case import CaseJob, prepare_case
from trainers.data.source import DataSource
from trainers.errors import UserError
from trainers.processes import in_processes, processes_for
from trainers.volumes.geometry import Spacing3, oriented_spacing, rounded
from trainers.volumes.nifti import CHUNK, affine_of, mended_before, open_volume


def build_cache(
    source: DataSource, preprocess: Preprocess, folder: Path, progress: Progress | None = None
) -> VolumeCache:
    """Check and prepare every case, in a folder of `folder` that is named by the fingerprint.

    Where that folder exists nothing is read, and nothing written: the same data were checked and
    prepared before. What was finished before a process was killed is not done again, and what was
    not is removed. Another process that prepares the same is waited for. Raises UserError where the
    data are not as the source says, or cannot be prepared in `folder`.
    """
    finished = unfinished(source, preprocess, folder)
    cache = folder / source.fingerprint(preprocess)
    if not cache.exists():
        _check_writable(folder)
    make_folder_once(cache, partial(_build, source, preprocess, progress, finished))
    shutil.rmtree(finished, ignore_errors=True)
    return VolumeCache.open(cache)


def _check_writable(folder: Path) -> None:
    try:
        output_folder(folder)
    except UserError as error:
        raise UserError(
            f"{folder} cannot be written, and does not hold these data as they are to be prepared; "
            "set data.cache to a folder that can be written, or to one that holds them"
        ) from error


def unfinished(source: DataSource, preprocess: Preprocess, folder: Path) -> Path:
    """Where in `folder` what is finished of each case is kept until all are."""
    return folder / f".{source.fingerprint(preprocess)}.unfinished"


def _build(
    source: DataSource,
    preprocess: Preprocess,
    progress: Progress | None,
    finished: Path,
    folder: Path,
) -> None:
    """`finished`: what is kept of each case until all are there, so that none is read again."""
    check = examine(source, progress, preprocess.affine, None, finished)
    try:
        refuse(check.findings, source)
    except UserError:
        shutil.rmtree(finished)  # its files will be mended
        raise
    _write(source, preprocess, progress, finished / "prepared", folder)
    (folder / CHECK).write_bytes(check.model_dump_json().encode())


def _write(
    source: DataSource,
    preprocess: Preprocess,
    progress: Progress | None,
    finished: Path,
    folder: Path,
) -> None:
    """The volumes, and the index that finds them."""
    with mended_before():
        voxel_size = _median_voxel(source, preprocess)
    spacing = _spacing(preprocess, voxel_size)
    settings = preprocess.of_channels(source.modalities)
    jobs = [
        CaseJob(case, settings, spacing, source.targets, finished / f"{number:05}")
        for number, case in enumerate(source.cases)
    ]
    entries: dict[str, Entry] = {}
    voxel = foreground = 0
    with ExitStack() as stack:
        files = [stack.enter_context((folder / name).open("wb")) for name in FILES]
        processes = processes_for([memory_of(case, spacing) for case in source.cases])
        for job, case in zip(jobs, in_processes(prepare_case, jobs, processes), strict=True):
            for file, name in zip(files, FILES, strict=True):
                with (case.folder / name).open("rb") as part:
                    shutil.copyfileobj(part, file, CHUNK)
            entries[job.case.name] = Entry(case.shape, voxel, foreground, case.counts)
            voxel += math.prod(case.shape)
            foreground += sum(case.counts)
            if progress:
                progress(len(entries), len(jobs), "prepared")
    index = {
        "channels": len(source.modalities),
        "modalities": source.modalities,
        "classes": source.classes,
        "spacing": spacing,
        "voxel_size": voxel_size,
        "preprocess": preprocess.model_dump(mode="json"),
        "entries": {name: asdict(entry) for name, entry in entries.items()},
    }
    if not (targets := source.targets).plain:
        index["regions"] = [asdict(region) for region in targets.regions]
        index["ignore"] = targets.ignore
    (folder / "index.json").write_text(json.dumps(index))


def _spacing(preprocess: Preprocess, median: Spacing3) -> Spacing3 | None:
    if preprocess.spacing == "native":
        return None
    return median if preprocess.spacing == "median" else preprocess.spacing


def prepared_voxel_size(source: DataSource, preprocess: Preprocess) -> Spacing3:
    """The voxels of the prepared volumes, mm; where each keeps its own, the median of them."""
    if isinstance(preprocess.spacing, tuple):
        return preprocess.spacing
    return _median_voxel(source, preprocess)


def _median_voxel(source: DataSource, preprocess: Preprocess) -> Spacing3:
    affines = (affine_of(open_volume(case.image), preprocess.affine) for case in source.cases)
    sizes = [oriented_spacing(affine, preprocess.orientation) for affine in affines]
    x, y, z = (rounded(float(size), 4) for size in np.median(sizes, axis=0))
    return x, y, z
