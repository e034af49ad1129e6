"""Segmenting folders of images, one case at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from trainers.atomic import output_folder
from trainers.channels_file import create_channels
from trainers.data.check import Progress
from trainers.data.check.finding import Finding, Kind, warn
from trainers.data.msd_descriptor import DESCRIPTOR
from trainers.data.volume_folder import VOLUMES, find_images, is_dicom
from trainers.dicom import (
    MODALITIES,
    Series,
    find_series,
    read_series,
    save_as_nifti,
    save_dicom_seg,
)
from trainers.errors import UserError
from trainers.home import from_home
from trainers.segmenter import ImageSegmenter
from trainers.volumes.errors import DoubtWarning
from trainers.volumes.files import (
    NIFTI,
    Image,
    case_name,
    ending_of,
    files_of,
    has_ending,
    output_name,
    volumes_among,
)
from trainers.volumes.geometry import doubts
from trainers.volumes.nifti import open_volume, save_segmentation

PROBABILITIES = "_probabilities.nii"
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

    `segment(segmenter, draft, probabilities)` writes the segmentation as `draft`, in a folder that
    may hold other drafts, and the probabilities it is of where a file for them is given.
    """

    name: str
    output: str
    segment: Callable[[ImageSegmenter, Path, Path | None], None]

    @property
    def probabilities(self) -> str:
        """The name of the file that its probabilities go to."""
        return case_name(Path(self.output.removesuffix(".dcm"))) + PROBABILITIES


def find_inputs(images: Path, channels: int, format: Format | None = None) -> list[Input]:
    """What is to be segmented in `images` by a network of so many channels.

    A volume, a folder of them (`find_images`), or of DICOM series. A volume gives one of its own
    format, DICOM gives DICOM SEG, unless `format` says otherwise. Raises UserError where there is
    nothing, or both, or DICOM SEG is wanted for volumes.
    """
    if not images.exists():
        raise UserError(
            f"{images} is missing; expected an image (NIfTI, NRRD, MetaImage or picture), a folder "
            "of them, or a folder of DICOM series"
        )
    if is_dicom(images):
        if not (all_series := find_series(images)):
            raise UserError(f"{images} has no {', '.join(MODALITIES)} series; expected one or more")
        return [_dicom_input(series, format or "dicom-seg") for series in all_series]
    if not (found := _volumes(images, channels)):
        raise UserError(f"{images} has no {VOLUMES}, and no DICOM series")
    if format == "dicom-seg":
        raise UserError(
            f"{images} holds no DICOM; a DICOM SEG refers to the DICOM images that were segmented: "
            "give their folder, or use --format nifti"
        )
    return [_volume_input(name, image, format) for name, image in found.items()]


def predict_folder(
    segmenter: ImageSegmenter,
    images: str | Path,
    to: str | Path,
    progress: Progress | None = None,
    format: Format | None = None,
    skip_existing: bool = False,
    probabilities: bool = False,
) -> Predictions:
    """Segment every case of `images` into a file in `to`, in the case's geometry.

    `probabilities`: beside each segmentation, those of every class or region, as a NIfTI file
    (`create_channels`) whose name ends in `PROBABILITIES`.

    One case is in memory at a time. A case that cannot be segmented, for whatever reason, is noted
    and the others go on. A file in `to` is whole or not there. `skip_existing` leaves out cases
    whose file is there. Raises UserError where `find_inputs` does, and where `to` is where images
    are, or links to them lead, or where the labels of a data set are. Warns of what is doubtful,
    once for all cases.
    """
    if isinstance(segmenter, str | Path):
        raise UserError(f"{segmenter} is no segmenter; load_segmenter({str(segmenter)!r}) opens it")
    images, to = from_home(images), from_home(to)
    inputs = find_inputs(images, segmenter.task.channels, format)
    if realpath(to) in _homes(images):
        raise UserError(
            f"{to} holds the images; segmentations of the same names need another folder"
        )
    place = Path(realpath(to))
    if place.name in DATA_FOLDERS and (place.parent / DESCRIPTOR).is_file():
        raise UserError(f"{to} holds the cases of a data set; segmentations need another folder")
    taken = {case.output for case in inputs} & {case.probabilities for case in inputs}
    if probabilities and taken:
        raise UserError(
            f"{images}: {min(taken)} would be a segmentation, and the probabilities of another "
            "case; rename the image"
        )
    output_folder(to)
    written, skipped, failed = [], [], {}
    doubtful: list[Finding] = []
    for done, case in enumerate(inputs, start=1):
        target = to / case.output
        beside = to / case.probabilities if probabilities else None
        if skip_existing and target.exists() and (beside is None or beside.exists()):
            skipped.append(target)
        else:
            try:
                with _doubts_of(case.name, doubtful):
                    _segment_one(case, segmenter, target, beside)
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


def _labels(segmenter: ImageSegmenter, image: Image, probabilities: Path | None) -> np.ndarray:
    """The labels of an image, with their probabilities in a file of their own if wanted."""
    shares = None
    if probabilities is not None:
        shares = create_channels(segmenter.task.targets.outputs, like=image, to=probabilities)
    return segmenter.segment(image, shares)


def _volume_input(case: str, image: Image, format: Format | None) -> Input:
    def segment(segmenter: ImageSegmenter, draft: Path, probabilities: Path | None) -> None:
        for told in doubts(open_volume(image), segmenter.affine):
            warnings.warn(DoubtWarning(first, told), stacklevel=2)
        save_segmentation(_labels(segmenter, image, probabilities), like=image, to=draft)

    first = files_of(image)[0]
    name = case + ending_of(first)
    other = format == "nifti" and not has_ending(first, NIFTI)
    return Input(name, f"{case}.nii.gz" if other else output_name(Path(name)), segment)


def _dicom_input(series: Series, format: Format) -> Input:
    def segment(segmenter: ImageSegmenter, draft: Path, probabilities: Path | None) -> None:
        slices = read_series(series)
        image = draft.with_name("image.nii")  # the network reads both formats through one geometry
        save_as_nifti(slices, image)
        labels = _labels(segmenter, image, probabilities)
        if format == "dicom-seg":
            save_dicom_seg(labels, slices, segmenter.task.classes, draft)
        else:
            save_segmentation(labels, like=image, to=draft)

    ending = ".dcm" if format == "dicom-seg" else ".nii.gz"
    return Input(series.name, series.name + ending, segment)


def _segment_one(
    case: Input, segmenter: ImageSegmenter, target: Path, probabilities: Path | None
) -> None:
    with TemporaryDirectory(prefix=".segnas-", dir=target.parent) as folder:
        draft = Path(folder, target.name)
        beside = probabilities and Path(folder, probabilities.name)
        case.segment(segmenter, draft, beside)
        if beside and probabilities:
            beside.replace(probabilities)
        draft.replace(target)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _homes(images: Path) -> set[str]:
    """The folder of the images, and the folders that links in it lead to."""
    files = [images] if images.is_file() else volumes_among(images.iterdir())
    folder = images.parent if images.is_file() else images
    return {realpath(folder), *(str(Path(realpath(file)).parent) for file in files)}


def _volumes(images: Path, channels: int) -> Mapping[str, Image]:
    if not images.is_file():
        return find_images(images, channels)
    if not has_ending(images):
        raise UserError(f"{images} is no {VOLUMES}; give one, or a folder")
    return {case_name(images): images}
