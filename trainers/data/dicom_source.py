"""Folders of DICOM as a source of data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from trainers.atomic import make_folder_once
from trainers.data.dataset import Dataset
from trainers.data.source import About, SourceConfig
from trainers.data.table import CsvData
from trainers.errors import UserError


class DicomData(SourceConfig):
    """CT, MR or PET series in `path` and below that a DICOM SEG or RTSTRUCT there refers to.

    They are written as NIfTI beside the prepared volumes, unless they are there. Cases of one
    patient stay together. `classes`: the names of segments or regions of interest, the background
    first, the later one where two overlap; by default all that there are, the largest first.
    """

    source: Literal["dicom"] = "dicom"
    path: Path
    classes: tuple[str, ...] | None = None

    def open(self, workdir: Path) -> Dataset:
        """The series and their labels, as files in the folder of the cache."""
        from trainers.data.dicom_pairs import TABLE, write_pairs
        from trainers.dicom import has_dicom, require_packages

        if not has_dicom(self.path):
            raise UserError(f"{self.path} has no DICOM file; set data.path to a folder of them")
        if self.classes and self.classes[0].casefold() != "background":
            raise UserError(
                f"data.classes begins with {self.classes[0]}; expected the background first, such "
                "as [background, liver]"
            )
        require_packages()
        build = partial(write_pairs, self.path, self.path, self.classes)
        folder = make_folder_once(self._converted(workdir), build)
        dataset = CsvData(path=folder / TABLE).open(workdir)
        return replace(dataset, folder=self.path, described_by="its SEG and RTSTRUCT files")

    def about(self) -> About:
        return About(self.path.name)

    def _converted(self, workdir: Path) -> Path:
        """Where the files are to be, or are since a version that kept them in the run's folder."""
        cache, key = self.cache_folder(workdir), self._key()
        before = (place / "dicom" / key for place in (workdir, cache.parent))
        return next((place for place in before if place.exists()), cache / "dicom" / key)

    def _key(self) -> str:
        """Changes with the classes, and any DICOM file's name, size or time of change."""
        from trainers.dicom import dicom_files

        files = [
            (file.name, (status := file.stat()).st_size, status.st_mtime_ns)
            for file in dicom_files(self.path)
        ]
        return hashlib.sha256(json.dumps([self.classes, files]).encode()).hexdigest()[:16]
