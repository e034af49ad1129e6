"""DICOM series written slice by slice from a known volume."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid  # noqa: E402

# Rows run along (0.8, 0.6, 0), columns along (0, 0, -1): oblique, and not axial.
ROW, COLUMN = np.array([0.8, 0.6, 0.0]), np.array([0.0, 0.0, -1.0])
NORMAL = np.cross(COLUMN, ROW)  # so that (slice, row, column) is right-handed
ORIGIN = np.array([-31.5, 12.25, 100.0])
ROW_SPACING, COLUMN_SPACING, STEP = 1.5, 0.75, 2.5  # mm between rows, columns, slices
SLOPE, INTERCEPT = 2.0, -1024.0


def lps_affine() -> np.ndarray:
    """(slice, row, column) -> DICOM's patient millimetres, by PS3.3 equation C.7.6.2.1-1."""
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 3] = NORMAL * STEP, ORIGIN
    affine[:3, 1], affine[:3, 2] = COLUMN * ROW_SPACING, ROW * COLUMN_SPACING
    return affine


def write_series(
    folder: Path,
    values: np.ndarray,
    modality: str = "CT",
    keep: Sequence[int] | None = None,
    prefix: str = "",
    **changes: object,
) -> str:
    """Write `values` (slices, rows, columns) as a series in a shuffled order; returns its UID.

    Stored values are (values - INTERCEPT) / SLOPE. `keep`: which slices are written. `changes`:
    attributes of every slice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    order = np.random.default_rng(0).permutation(len(values))
    for number, index in enumerate(order):
        if keep is not None and index not in keep:
            continue
        header = _header(modality, series, study, frame)
        header.InstanceNumber = number + 1
        position = ORIGIN + index * STEP * NORMAL
        header.ImagePositionPatient = [round(float(x), 6) for x in position]
        header.Rows, header.Columns = values.shape[1:]
        stored = np.rint((values[index] - INTERCEPT) / SLOPE).astype(np.uint16)
        header.PixelData = stored.tobytes()
        for keyword, value in changes.items():
            setattr(header, keyword, value)
        header.save_as(folder / f"{prefix}{number:03}.dcm", enforce_file_format=True)
    return series


def _header(modality: str, series: str, study: str, frame: str) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    header.Modality, header.SeriesInstanceUID, header.StudyInstanceUID = modality, series, study
    header.FrameOfReferenceUID = frame
    header.PatientID, header.PatientName = "p1", "Test^Person"
    header.ImageOrientationPatient = [float(x) for x in (*ROW, *COLUMN)]
    header.PixelSpacing = [ROW_SPACING, COLUMN_SPACING]
    header.SliceThickness = STEP
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 0
    header.RescaleSlope, header.RescaleIntercept = SLOPE, INTERCEPT
    return header
