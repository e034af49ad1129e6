"""Prepared volumes on disk, read through memory maps.

All volumes of a kind lie in one file, one after the other: a process that visits every case holds
three maps open instead of hundreds, and a crop costs no `open`. Who reads them needs no library for
images; what makes them is `trainers.data.build_cache`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainers.volumes.labels import label_type
from trainers.volumes.targets import Region, Targets

if TYPE_CHECKING:
    from trainers.data.check.facts import DataCheck
    from trainers.volumes.geometry import Spacing3

IMAGE, LABEL, FOREGROUND = FILES = "images.f32", "labels", "foreground.i32"
CHECK = "check.json"  # what was found while the cases were read; processes of trials do not open it


@dataclass(frozen=True)
class Entry:
    """One case of `shape` (D, H, W) in the files of a cache.

    `voxel`: how many voxels the cases before it have. `foreground`: how many indices of foreground
    voxels are kept of them. `counts`: how many are kept of this one, for each foreground class or
    region, and last, where labels have voxels to ignore, of all that are not.
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
    where they were not recorded. `regions`, `ignore`: as in `Targets`.
    """

    folder: Path
    channels: int
    classes: tuple[str, ...]
    spacing: Spacing3 | None
    entries: dict[str, Entry] = field(repr=False)
    voxel_size: Spacing3 | None = None
    modalities: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    ignore: int | None = None

    @property
    def targets(self) -> Targets:
        """What networks learn of the labels."""
        return Targets(self.classes, self.regions, self.ignore)

    @property
    def prepared_voxel_size(self) -> Spacing3 | None:
        """Of the arrays, mm; where each volume keeps its own, the median."""
        return self.spacing or self.voxel_size

    @classmethod
    def open(cls, folder: Path) -> VolumeCache:
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
            tuple(
                Region(one["name"], tuple(one["labels"]), one["value"])
                for one in index.get("regions", ())
            ),
            index.get("ignore"),
        )

    def check(self) -> DataCheck:
        """What is known of the files, and what was doubtful when they were read."""
        from trainers.data.check.facts import DataCheck

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
        """(D, H, W), in the smallest unsigned type that holds the classes and what is ignored."""
        entry = self.entries[name]
        size = int(np.prod(entry.shape))
        return self._labels[entry.voxel : entry.voxel + size].reshape(entry.shape)

    def foreground(self, name: str) -> tuple[np.ndarray, ...]:
        """Flat int32 indices into the label, for each class or region that the case has (no
        background).

        Of a large organ it is a random sample of 10,000 voxels.
        """
        return self._sampled(name, slice(len(self.targets.names)))

    def annotated(self, name: str) -> tuple[np.ndarray, ...]:
        """Such indices of all voxels that are not to be ignored, as one sample; none where no label
        has such."""
        return self._sampled(name, slice(len(self.targets.names), None))

    def _sampled(self, name: str, which: slice) -> tuple[np.ndarray, ...]:
        entry = self.entries[name]
        ends = entry.foreground + np.cumsum(entry.counts)
        return tuple(
            self._foreground[end - count : end]
            for end, count in zip(ends[which], entry.counts[which], strict=True)
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
        return _map(self.folder / LABEL, label_type(self.targets.values))

    @cached_property
    def _foreground(self) -> np.ndarray:
        return _map(self.folder / FOREGROUND, np.int32)


def _map(path: Path, dtype: npt.DTypeLike) -> np.ndarray:
    """The file as a flat array. A plain view: slicing a np.memmap itself is five times slower."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r").view(np.ndarray)
