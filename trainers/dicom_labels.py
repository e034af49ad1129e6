"""Labels in DICOM: segmentations (SEG) and contours (RTSTRUCT), on the grid of their series."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainers.dicom import Slices, damage_told, dicom_files, read_dicom
from trainers.errors import UserError

if TYPE_CHECKING:
    from highdicom import VolumeGeometry
    from pydicom import Dataset

LABELS = ("SEG", "RTSTRUCT")
AREAS = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")  # kinds of contours, PS3.3 C.8.8.6.3
OUT_OF_PLANE = 0.5  # slices: a contour that is further from a slice belongs to none
PLACE = ("PlanePositionSequence", "PlaneOrientationSequence")  # of a frame
SAME_GRID = 0.01  # mm between affines of a segmentation and its series


@dataclass(frozen=True)
class LabelFile:
    """A DICOM SEG or RTSTRUCT. `series`: the UID of that which it refers to; `names`: of what it
    outlines."""

    path: Path
    series: str
    names: tuple[str, ...]


def find_labels(folder: Path) -> tuple[list[LabelFile], dict[Path, str]]:
    """Every DICOM SEG and RTSTRUCT in the folder and below; and why a file cannot be read that may
    be one, or does not say which series it is of."""
    found, refused = [], {}
    for file in dicom_files(folder):
        try:
            header = read_dicom(file, pixels=False)
            with damage_told(str(file)):
                if header.get("Modality") in LABELS:
                    names = tuple(_names(header).values())
                    found.append(LabelFile(file, _series_of(header, file), names))
        except UserError as error:
            refused[file] = str(error)
    return found, refused


def read_masks(
    label: LabelFile, slices: Slices, wanted: Collection[str]
) -> Mapping[str, np.ndarray]:
    """Name -> (slices, rows, columns) bool on the grid of `slices`, of those `wanted` (casefolded).

    A voxel is inside contours where its middle is, of nested ones by turns inside and out. Several
    segments or regions of one name, as of the lesions of a patient, are one mask. Raises UserError
    where a segmentation is on another grid, is no binary one, contours lie between slices, or of
    something wanted none goes around an area.
    """
    header = read_dicom(label.path)
    with damage_told(str(label.path)):
        named = _names(header).items()
        names = {number: name for number, name in named if name.casefold() in wanted}
        inside = _segments if header.Modality == "SEG" else _contoured
        masks: dict[str, np.ndarray] = {}
        for name, mask in inside(names, header, label, slices):
            masks[name] = masks[name] | mask if name in masks else mask
        return masks


def _names(header: Dataset) -> dict[int, str]:
    """Number -> name of each segment or region of interest."""
    if header.Modality == "SEG":
        segments = header.SegmentSequence
        return {int(one.SegmentNumber): str(one.SegmentLabel).strip() for one in segments}
    regions = header.StructureSetROISequence
    return {int(one.ROINumber): str(one.ROIName).strip() for one in regions}


def _series_of(header: Dataset, file: Path) -> str:
    try:
        if header.Modality == "SEG":
            return str(header.ReferencedSeriesSequence[0].SeriesInstanceUID)
        study = header.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
        return str(study.RTReferencedSeriesSequence[0].SeriesInstanceUID)
    except (AttributeError, IndexError, TypeError) as error:
        raise UserError(f"{file} does not say of which series it is") from error


def _segments(
    names: Mapping[int, str], header: Dataset, label: LabelFile, slices: Slices
) -> Iterator[tuple[str, np.ndarray]]:
    """The mask of each segment."""
    from highdicom.seg import Segmentation

    if header.get("SegmentationType") not in ("BINARY", "LABELMAP"):
        kind = str(header.get("SegmentationType", "none")).lower()
        raise UserError(f"{label.path} is a {kind} segmentation; expected a binary one")
    grid = slices.volume.get_geometry()
    _space_frames(header, label, grid)
    try:
        segmentation = Segmentation.from_dataset(header, copy=False)
        for number, name in names.items():
            volume = segmentation.get_volume(
                segment_numbers=[number], combine_segments=True, relabel=True
            )
            mask = volume.match_geometry(grid, tol=SAME_GRID).array > 0
            if mask.shape != tuple(grid.spatial_shape):
                raise ValueError("it has other slices")
            yield name, mask
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"{label.path} cannot be brought to the grid of its series: {error}; resample it first"
        ) from error


def _space_frames(header: Dataset, label: LabelFile, grid: VolumeGeometry) -> None:
    """Make the distance between frames that of the slices of the `grid`, so that each frame lies
    where its position says.

    What files tell of it is missing or that of something else, such as the thickness; where it is
    missing highdicom takes 1 mm for a single frame, and the least distance of several.
    """
    from pydicom.valuerep import format_number_as_ds

    shared = header.SharedFunctionalGroupsSequence[0]
    frames = list(header.PerFrameFunctionalGroupsSequence)
    for keyword in PLACE:
        if keyword not in shared and any(keyword not in frame for frame in frames):
            raise UserError(f"{label.path} does not say where its frames are; expected {keyword}")
    groups = [shared, *frames]
    plane = next(one.PlaneOrientationSequence[0] for one in groups if PLACE[1] in one)
    rows, columns = np.reshape(np.asarray(plane.ImageOrientationPatient, float), (2, 3))
    along = np.abs(np.stack(grid.unit_vectors()) @ np.cross(rows, columns))
    distance = format_number_as_ds(float(grid.spacing[int(along.argmax())]))
    for group in groups:
        if "PixelMeasuresSequence" in group:
            group.PixelMeasuresSequence[0].SpacingBetweenSlices = distance


def _contoured(
    names: Mapping[int, str], header: Dataset, label: LabelFile, slices: Slices
) -> Iterator[tuple[str, np.ndarray]]:
    """The mask of each region of interest."""
    return ((name, _inside(number, header, label, slices)) for number, name in names.items())


def _inside(number: int, header: Dataset, label: LabelFile, slices: Slices) -> np.ndarray:
    """The mask of one region of interest."""
    to_index = np.linalg.inv(slices.volume.affine)
    mask = np.zeros(slices.volume.shape, bool)
    for contour in _contours(number, header, label):
        points = np.reshape(np.asarray(contour.ContourData, float), (-1, 3))
        along, rows, columns = to_index[:3, :3] @ points.T + to_index[:3, 3:]
        place = round(float(along.mean()))
        if np.abs(along - place).max() >= OUT_OF_PLANE or not 0 <= place < len(mask):
            raise UserError(
                f"{label.path}: a contour of {_names(header)[number]} lies in no slice of its "
                "series; expected contours drawn on its slices"
            )
        _toggle(mask[place], rows, columns)
    return mask


def _contours(number: int, header: Dataset, label: LabelFile) -> Sequence[Any]:
    """Those around an area; points and open lines beside them are left out."""
    drawn = [
        contour
        for region in header.get("ROIContourSequence", ())
        if int(region.ReferencedROINumber) == number
        for contour in region.get("ContourSequence", ())
    ]
    kinds = [str(contour.ContourGeometricType).strip() for contour in drawn]
    if drawn and not set(kinds) & set(AREAS):
        raise UserError(
            f"{label.path}: the contours of {_names(header)[number]} are "
            f"{', '.join(sorted(set(kinds)))}; expected {' or '.join(AREAS)}, which go around an "
            "area: draw it, or name the other classes in data.classes"
        )
    return [contour for contour, kind in zip(drawn, kinds, strict=True) if kind in AREAS]


def _toggle(mask: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    """Turn the pixels of `mask` whose middles are inside the polygon to their opposite."""
    from matplotlib.path import Path as Polygon

    box = []
    for places, length in zip((rows, columns), mask.shape, strict=True):
        first, last = np.floor(places.min()), np.ceil(places.max()) + 1
        box.append(slice(int(max(first, 0)), int(min(max(last, 0), length))))
    part = mask[tuple(box)]
    middles = np.argwhere(np.ones(part.shape, bool)) + [side.start for side in box]
    inside = Polygon(np.column_stack([rows, columns])).contains_points(middles)
    part ^= inside.reshape(part.shape)
