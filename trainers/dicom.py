"""DICOM series of slices in, DICOM segmentations out.

pydicom and highdicom are imported where a function needs them: they are an optional dependency.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from trainers.dicom_checks import SPACING_TOLERANCE, TILT_TOLERANCE, check_slices
from trainers.errors import UserError, first_line

if TYPE_CHECKING:
    from highdicom import Volume
    from pydicom import Dataset

MODALITIES = ("CT", "MR", "PT")
# Type 2 attributes of patient and study (PS3.3 C.7): to be there, if empty. Anonymisers drop them.
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)


@dataclass(frozen=True)
class Series:
    """The files of one series, a slice each, in no order. `name` is fit for a file's. `uid`: its
    SeriesInstanceUID; empty where no file of it can be read."""

    name: str
    files: tuple[Path, ...]
    uid: str = ""


@dataclass(frozen=True)
class Slices:
    """A series read. `volume`: its values, float32, (slices, rows, columns), with its geometry.

    `headers`: its data sets without pixels.
    """

    volume: Volume
    headers: Sequence[Dataset]


def has_dicom(folder: Path) -> bool:
    """Does a file in the folder or below look like DICOM? Needs no package."""
    return any(True for _ in dicom_files(folder))


def dicom_files(folder: Path) -> Iterator[Path]:
    """The files in the folder and below that look like DICOM. Needs no package."""
    for _, files in _folders(folder):
        yield from filter(_looks_dicom, files)


def find_series(folder: Path, told: bool = True) -> list[Series]:
    """Every CT, MR or PET series in the folder and below, one for each folder and series UID.

    It is named after its folder; where a folder has several, the series UID follows. A file that
    should be DICOM and cannot be read belongs to all series of its folder, since a slice of any may
    be lost with it. Other modalities are left out. `told`: warns of these, and of a series that
    lies in several folders. Raises UserError where the DICOM packages are missing.
    """
    require_packages()
    found = []
    for path, files in _folders(folder):
        series, damaged = _sort_files([file for file in files if _looks_dicom(file)], told)
        name = "_".join(path.relative_to(folder).parts) or folder.resolve().name
        for uid, slices in series.items():
            suffix = "" if len(series) == 1 else "_" + re.sub(r"[^0-9.]", "_", uid)
            found.append(Series(name + suffix, (*slices, *damaged), uid))
        if damaged and not series:
            found.append(Series(name, tuple(damaged)))
    found = _distinct(found)
    for parts in by_uid(found).values():
        if told and len(parts) > 1:
            names = ", ".join(part.name for part in parts)
            warnings.warn(
                f"{folder}: {names} are one series in several folders, each taken by itself; move "
                "its files into one folder",
                stacklevel=2,
            )
    return found


def by_uid(series: Iterable[Series]) -> dict[str, list[Series]]:
    """Those of each SeriesInstanceUID, which is in several folders where there are several."""
    found: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        if one.uid:
            found[one.uid].append(one)
    return dict(found)


def joined(parts: Sequence[Series]) -> Series:
    """The series that lies in several folders, as one that is called as its first part is.

    Of an instance that is in several of them, one file is taken. Raises UserError where a file
    cannot be read.
    """
    first, *others = parts
    if not others:
        return first
    files: dict[str, Path] = {}
    for file in (file for part in parts for file in part.files):
        header = read_dicom(file, pixels=False)
        files.setdefault(str(header.get("SOPInstanceUID", file)), file)
    return replace(first, files=tuple(files.values()))


def read_series(series: Series) -> Slices:
    """The values of a series after rescale slope and intercept, slices in order along the normal.

    Raises UserError where the files are damaged or are no volume: slices that are missing, at one
    place twice, of different sizes or directions, or tilted.
    """
    from highdicom import get_volume_from_series

    headers = [read_dicom(file, pixels=False) for file in series.files]
    with damage_told(f"series {series.name}"):
        check_slices(series.name, series.files, headers)
    with damage_told(f"series {series.name}"):
        volume = get_volume_from_series(
            [read_dicom(file) for file in series.files],
            dtype=np.float32,
            apply_real_world_transform=False,
            apply_presentation_lut=False,
            rtol=SPACING_TOLERANCE,
            perpendicular_tol=TILT_TOLERANCE,
            orientation_tol=TILT_TOLERANCE,
        )
    return Slices(volume, headers)


@contextmanager
def damage_told(what: str) -> Iterator[None]:
    """Whatever decoders, and tags of odd content, raise becomes one UserError about `what`; but
    not what the disk raises."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        raise UserError(f"{what} cannot be read: {first_line(error)}") from error


def read_dicom(file: Path, pixels: bool = True) -> Dataset:
    """What a DICOM file holds. Raises UserError where it is damaged, or something else."""
    from pydicom import dcmread

    try:
        return dcmread(file, stop_before_pixels=not pixels)
    except Exception as error:  # damaged files raise AttributeError, KeyError, struct.error, ...
        raise UserError(f"{file} cannot be read; expected a DICOM file") from error


def save_as_nifti(slices: Slices, to: Path) -> None:
    """The volume as NIfTI: the same voxels in the same order, in patient coordinates."""
    nib.save(slices.volume.to_nibabel(), to)


def save_dicom_seg(labels: np.ndarray, slices: Slices, classes: Sequence[str], to: Path) -> None:
    """Write a DICOM SEG: a binary segment for each class but the first, which is the background.

    labels: (slices, rows, columns) of `slices.volume`, uint8 or uint16. The segments lie in its
    frame of reference and study, and refer to its instances (PS3.3 A.51); frames without any voxel
    are left out.
    """
    from highdicom import UID
    from highdicom.seg import Segmentation

    for header in slices.headers:
        for keyword in _MAY_BE_EMPTY:
            header.setdefault(keyword, "")
    with warnings.catch_warnings():
        # The name is that of the images, such as Anonymous: nothing that a person could mend here.
        warnings.filterwarnings("ignore", "The string .* person name", UserWarning)
        segmentation = Segmentation(
            source_images=slices.headers,
            pixel_array=slices.volume.with_array(np.ascontiguousarray(labels)),
            segmentation_type="BINARY",
            omit_empty_frames=bool(labels.any()),  # no frame at all were no image
            segment_descriptions=[
                _segment(n, label) for n, label in enumerate(classes[1:], start=1)
            ],
            series_instance_uid=UID(),
            series_number=1000,
            sop_instance_uid=UID(),
            instance_number=1,
            manufacturer="segnas",
            manufacturer_model_name="segnas",
            software_versions=version("segnas"),
            device_serial_number="none",
            series_description="segnas segmentation",
        )
    segmentation.save_as(to)


def require_packages() -> None:
    """Raises UserError where pydicom or highdicom is not installed."""
    try:
        import highdicom  # noqa: F401
        import pydicom  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"DICOM needs {error.name or 'highdicom'}, which is not installed; "
            "pip install 'segnas[dicom]'"
        ) from error


def _folders(folder: Path) -> list[tuple[Path, list[Path]]]:
    """The folder and all below, with their files, in order of name; hidden ones are left out.
    Links to folders are followed, each folder once."""
    found, root = [], folder.resolve()
    seen = {root}
    for path, folders, files in os.walk(folder, followlinks=True):
        inner = sorted((Path(path, name).is_symlink(), name) for name in folders)
        folders.clear()
        for _, name in inner:  # links last, so that a folder beside its link has its own name
            place = Path(path, name).resolve()
            if name[0] != "." and place not in seen and not root.is_relative_to(place):
                seen.add(place)
                folders.append(name)
        folders.sort()
        kept = sorted(name for name in files if not name.startswith("."))
        found.append((Path(path), [Path(path, name) for name in kept]))
    return found


def _looks_dicom(file: Path) -> bool:
    """By its ending, or by the letters after the preamble (PS3.10, 7.1)."""
    if file.suffix.lower() == ".dcm":
        return True
    try:
        with file.open("rb") as start:
            return start.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _sort_files(files: Sequence[Path], told: bool) -> tuple[dict[str, list[Path]], list[Path]]:
    """The files of each series by its UID, and those that cannot be read."""
    series: dict[str, list[Path]] = defaultdict(list)
    damaged, others = [], set()
    for file in files:
        try:
            with damage_told(str(file)):
                header = read_dicom(file, pixels=False)
                modality, uid = str(header.get("Modality", "none")), header.get("SeriesInstanceUID")
        except UserError:
            damaged.append(file)
            continue
        if modality in MODALITIES and uid:
            series[str(uid)].append(file)
        else:
            others.add(modality)
    if told and others:
        found = ", ".join(sorted(others))
        warnings.warn(f"{files[0].parent}: ignored DICOM of modality {found}", stacklevel=3)
    return series, damaged


def _distinct(series: Sequence[Series]) -> list[Series]:
    """Folders a/b and a_b would be called the same: number the later ones."""
    taken: set[str] = set()
    named = []
    for each in series:
        names = (each.name, *(f"{each.name}_{n}" for n in range(2, len(series) + 2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        named.append(replace(each, name=name))
    return named


def _segment(number: int, label: str) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    return SegmentDescription(
        segment_number=number,
        segment_label=label.replace("\\", "/")[:64],  # the limits of a DICOM long string
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Tissue,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name="segnas", version=version("segnas"), family=codes.DCM.ArtificialIntelligence
        ),
    )
