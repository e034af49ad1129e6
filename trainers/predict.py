"""Segmenting folders of images, one case at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os.path import realpath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from trainers.atomic import output_folder
from trainers.data.check import Progress
from trainers.data.check.finding import Finding, Kind, warn
from trainers.data.msd_descriptor import DESCRIPTOR
from trainers.data.volume_folder import find_volumes, output_name
from trainers.dicom import (
    MODALITIES,
    Series,
    find_series,
    has_dicom,
    read_series,
    save_as_nifti,
    save_dicom_seg,
)
from trainers.errors import UserError
from trainers.segmenter import ImageSegmenter
from trainers.volumes.errors import DoubtWarning
from trainers.volumes.files import has_ending, is_volume
from trainers.volumes.geometry import doubts
from trainers.volumes.nifti import open_nifti, save_segmentation

DATA_FOLDERS = ("imagesTr", "imagesTs", "labelsTr", "labelsTs")

Format = Literal["nifti", "dicom-seg"]


@dataclass(frozen=True)
class Predictions:
    """What became of a folder: files written, files left as they were, and failed cases with the
    reason."""

    written: Sequence[Path]
    skipped: Sequence[Path]
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Input:
    """One image, and the name of the file that its segmentation goes to.

    `segment(segmenter, draft)` writes the segmentation as `draft`, in a folder that may hold other
    drafts.
    """

    name: str
    output: str
    segment: Callable[[ImageSegmenter, Path], None]


def find_inputs(images: Path, format: Format | None = None) -> list[Input]:
    """What is to be segmented in `images`: a NIfTI file, a folder of them, or of DICOM series.

    NIfTI gives NIfTI; DICOM gives DICOM SEG unless `format` says otherwise. Raises UserError where
    there is nothing, or both, or DICOM SEG is wanted for NIfTI.
    """
    if images.is_dir() and has_dicom(images):
        if find_volumes(images, told=False):
            raise UserError(f"{images} holds NIfTI and DICOM; give each a folder of its own")
        if not (found := find_series(images)):
            raise UserError(f"{images} has no {', '.join(MODALITIES)} series; expected one or more")
        return [_dicom_input(series, format or "dicom-seg") for series in found]
    if not (volumes := _volumes(images)):
        raise UserError(f"{images} has no .nii or .nii.gz file, and no DICOM series")
    if format == "dicom-seg":
        raise UserError(
            f"{images} holds NIfTI; a DICOM SEG refers to the DICOM images that were segmented: "
            "give their folder, or use --format nifti"
        )
    return [Input(path.name, output_name(path), partial(_segment_nifti, path)) for path in volumes]


def predict_folder(
    segmenter: ImageSegmenter,
    images: Path,
    to: Path,
    progress: Progress | None = None,
    format: Format | None = None,
    skip_existing: bool = False,
) -> Predictions:
    """Segment every case of `images` into a file in `to`, in the case's geometry.

    One case is in memory at a time. A case that cannot be segmented, for whatever reason, is noted
    and the others go on. A file in `to` is whole or not there. `skip_existing` leaves out cases
    whose file is there. Raises UserError where `find_inputs` does, and where `to` is where images
    are, or links to them lead, or where the labels of a data set are. Warns of what is doubtful,
    once for all cases.
    """
    inputs = find_inputs(images, format)
    if realpath(to) in _homes(images):
        raise UserError(
            f"{to} holds the images; segmentations of the same names need another folder"
        )
    place = Path(realpath(to))
    if place.name in DATA_FOLDERS and (place.parent / DESCRIPTOR).is_file():
        raise UserError(f"{to} holds the cases of a data set; segmentations need another folder")
    output_folder(to)
    written, skipped, failed = [], [], {}
    doubtful: list[Finding] = []
    for done, case in enumerate(inputs, start=1):
        target = to / case.output
        if skip_existing and target.exists():
            skipped.append(target)
        else:
            try:
                with _doubts_of(case.name, doubtful):
                    _segment_one(case, segmenter, target)
                written.append(target)
            except Exception as error:  # one bad file must not cost the others a night's run
                failed[case.name] = _reason(error)
        if progress:
            progress(done, len(inputs), "segmented")
    warn(doubtful, images)
    return Predictions(written, skipped, failed)


@contextmanager
def _doubts_of(case: str, doubtful: list[Finding]) -> Iterator[None]:
    """Add what is warned of one case to what is said of all, without the path of its file."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        yield
    told = (
        one.message.told if isinstance(one.message, DoubtWarning) else str(one.message)
        for one in warned
        if issubclass(one.category, UserWarning)
    )
    for message in dict.fromkeys(told):  # several networks may say one thing
        doubtful.append(Finding(case=case, kind=Kind.GEOMETRY, message=message))


def _segment_nifti(path: Path, segmenter: ImageSegmenter, draft: Path) -> None:
    for told in doubts(open_nifti(path), segmenter.affine):
        warnings.warn(DoubtWarning(path, told), stacklevel=2)
    save_segmentation(segmenter.segment(path), like=path, to=draft)


def _dicom_input(series: Series, format: Format) -> Input:
    def segment(segmenter: ImageSegmenter, draft: Path) -> None:
        slices = read_series(series)
        image = draft.with_name("image.nii")  # the network reads both formats through one geometry
        save_as_nifti(slices, image)
        labels = segmenter.segment(image)
        if format == "dicom-seg":
            save_dicom_seg(labels, slices, segmenter.task.classes, draft)
        else:
            save_segmentation(labels, like=image, to=draft)

    ending = ".dcm" if format == "dicom-seg" else ".nii.gz"
    return Input(series.name, series.name + ending, segment)


def _segment_one(case: Input, segmenter: ImageSegmenter, target: Path) -> None:
    with TemporaryDirectory(prefix=".segnas-", dir=target.parent) as folder:
        draft = Path(folder, target.name)
        case.segment(segmenter, draft)
        draft.replace(target)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _homes(images: Path) -> set[str]:
    """The folder of the images, and the folders that links in it lead to."""
    files = [images] if images.is_file() else filter(is_volume, images.iterdir())
    folder = images.parent if images.is_file() else images
    return {realpath(folder), *(str(Path(realpath(file)).parent) for file in files)}


def _volumes(images: Path) -> list[Path]:
    if not images.is_file():
        return list(find_volumes(images).values())
    if not has_ending(images):
        raise UserError(f"{images} is no .nii or .nii.gz file; give that, or a folder")
    return [images]
