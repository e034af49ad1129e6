"""Prepared volumes on disk, read through memory maps.

All volumes of a kind lie in one file, one after the other: a process that visits every case holds
three maps open instead of hundreds, and a crop costs no `open`.
"""

import json
import math
import shutil
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainers.atomic import make_folder
from trainers.data.check import Progress, examine
from trainers.data.check.facts import DataCheck
from trainers.data.check.finding import refuse
from trainers.data.config import Preprocess
from trainers.data.memory import memory_of
from trainers.data.prepare_case import FILES, FOREGROUND, IMAGE, LABEL, CaseJob, prepare_case
from trainers.data.source import DataSource
from trainers.errors import UserError
from trainers.processes import in_processes, processes_for
from trainers.volumes.geometry import Spacing3, oriented_spacing
from trainers.volumes.nifti import CHUNK, affine_of, label_type, mended_before, open_nifti

CHECK = "check.json"  # what was found while the cases were read; processes of trials do not open it


@dataclass(frozen=True)
class Entry:
    """One case of `shape` (D, H, W) in the files of a cache.

    `voxel`: how many voxels the cases before it have. `foreground`: how many indices of foreground
    voxels are kept of them. `counts`: how many are kept of this one, for each foreground class.
    """

    shape: tuple[int, int, int]
    voxel: int
    foreground: int
    counts: tuple[int, ...]


@dataclass(frozen=True)
class VolumeCache:
    """Checked and prepared cases. Cheap to open and to pickle; arrays are read-only memory maps.

    `classes[0]` is the background. `spacing` in mm, None where each volume keeps its own.
    `voxel_size`: the median of the files' own, mm. `modalities`: the names of the channels; empty
    where they were not recorded.
    """

    folder: Path
    channels: int
    classes: tuple[str, ...]
    spacing: Spacing3 | None
    entries: dict[str, Entry] = field(repr=False)
    voxel_size: Spacing3 | None = None
    modalities: tuple[str, ...] = ()

    @property
    def prepared_voxel_size(self) -> Spacing3 | None:
        """Of the arrays, mm; where each volume keeps its own, the median."""
        return self.spacing or self.voxel_size

    @classmethod
    def open(cls, folder: Path) -> "VolumeCache":
        """The cache that `build_cache` made in `folder`."""
        index = json.loads((folder / "index.json").read_text())
        entries = {
            name: Entry(tuple(e["shape"]), e["voxel"], e["foreground"], tuple(e["counts"]))
            for name, e in index["entries"].items()
        }
        return cls(
            folder,
            index["channels"],
            tuple(index["classes"]),
            tuple(index["spacing"]) if index["spacing"] else None,
            entries,
            tuple(index["voxel_size"]),
            tuple(index.get("modalities", ())),
        )

    def check(self) -> DataCheck:
        """What is known of the files, and what was doubtful when they were read."""
        return DataCheck.model_validate_json((self.folder / CHECK).read_bytes())

    @property
    def names(self) -> tuple[str, ...]:
        """All cases, sorted."""
        return tuple(self.entries)

    def shape(self, name: str) -> tuple[int, int, int]:
        """(D, H, W) of a case."""
        return self.entries[name].shape

    def image(self, name: str) -> np.ndarray:
        """(C, D, H, W) float32."""
        entry = self.entries[name]
        size = self.channels * int(np.prod(entry.shape))
        start = self.channels * entry.voxel
        return self._images[start : start + size].reshape(self.channels, *entry.shape)

    def label(self, name: str) -> np.ndarray:
        """(D, H, W), in the smallest unsigned type that holds the classes."""
        entry = self.entries[name]
        size = int(np.prod(entry.shape))
        return self._labels[entry.voxel : entry.voxel + size].reshape(entry.shape)

    def foreground(self, name: str) -> tuple[np.ndarray, ...]:
        """Flat int32 indices into the label, for each class that the case has (no background).

        Of a large organ it is a random sample of 10,000 voxels.
        """
        entry = self.entries[name]
        ends = entry.foreground + np.cumsum(entry.counts)
        return tuple(
            self._foreground[end - count : end]
            for end, count in zip(ends, entry.counts, strict=True)
            if count
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without the maps, which would travel as whole arrays."""
        return {key: self.__dict__[key] for key in self.__dataclass_fields__}

    @cached_property
    def _images(self) -> np.ndarray:
        return _map(self.folder / IMAGE, np.float32)

    @cached_property
    def _labels(self) -> np.ndarray:
        return _map(self.folder / LABEL, label_type(len(self.classes)))

    @cached_property
    def _foreground(self) -> np.ndarray:
        return _map(self.folder / FOREGROUND, np.int32)


def build_cache(
    source: DataSource, preprocess: Preprocess, folder: Path, progress: Progress | None = None
) -> VolumeCache:
    """Check and prepare every case, in a folder of `folder` that is named by the fingerprint.

    Where that folder exists nothing is read: the same data were checked and prepared before. What
    was finished before a process was killed is not done again. Raises UserError where the data are
    not as the source says.
    """
    finished = unfinished(source, preprocess, folder)
    build = partial(_build, source, preprocess, progress, finished)
    cache = make_folder(folder / source.fingerprint(preprocess), build)
    shutil.rmtree(finished, ignore_errors=True)
    return VolumeCache.open(cache)


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
    (folder / CHECK).write_text(check.model_dump_json())


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
        CaseJob(case, settings, spacing, len(source.classes), finished / f"{number:05}")
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
    affines = (affine_of(open_nifti(case.image), preprocess.affine) for case in source.cases)
    sizes = [oriented_spacing(affine, preprocess.orientation) for affine in affines]
    x, y, z = np.median(sizes, axis=0)
    return round(float(x), 4), round(float(y), 4), round(float(z), 4)


def _map(path: Path, dtype: npt.DTypeLike) -> np.ndarray:
    """The file as a flat array. A plain view: slicing a np.memmap itself is five times slower."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r").view(np.ndarray)
