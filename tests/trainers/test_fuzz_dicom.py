"""DICOM series and segmentations, damaged byte by byte and tag by tag."""

import shutil

import numpy as np
import pytest

from tests.fuzz import NUMBERS, TEXTS, damaged_bytes, everything, problems
from tests.trainers.dicom_series import pydicom, write_series
from trainers.data.dicom_pairs import write_pairs
from trainers.dicom import find_series, read_series, save_dicom_seg

SHAPE = (4, 6, 5)
TAGS = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"),
    *("RescaleSlope", "RescaleIntercept", "BitsAllocated", "SamplesPerPixel", "Modality"),
    *("SeriesInstanceUID", "FrameOfReferenceUID", "PatientID", "SegmentSequence", "PixelData"),
    *("ReferencedSeriesSequence", "SegmentationType", "NumberOfFrames", "PixelRepresentation"),
)
ODD = [*TEXTS, *map(str, NUMBERS), None, [], ["0", "0"], ["nan"] * 3, ["0"] * 6, ["1e400"] * 6]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A series and a segmentation of it."""
    folder = tmp_path_factory.mktemp("dicom")
    values = np.random.default_rng(0).integers(-200, 200, SHAPE) * 2.0
    write_series(folder / "series", values)
    (series,) = find_series(folder / "series")
    labels = (values > 0).astype(np.uint8)
    save_dicom_seg(labels, read_series(series), ("background", "organ"), folder / "seg.dcm")
    return folder


def attempts(study, folder):
    def attempt(draw):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(study, folder)
        files = sorted(folder.rglob("*.dcm"))
        for file in files if draw.random() < 0.3 else [draw.choice(files)]:
            damage(draw, file)
        (folder / "out").mkdir()
        write_pairs(folder, folder, None, folder / "out")

    return attempt


def damage(draw, file):
    if draw.random() < 0.4:
        file.write_bytes(damaged_bytes(draw, file.read_bytes()))
        return
    header = pydicom.dcmread(file)
    tag = draw.choice(TAGS)
    if draw.random() < 0.3:
        if tag in header:
            delattr(header, tag)
    else:
        with pydicom.config.disable_value_validation():
            try:
                setattr(header, tag, draw.choice(ODD))
            except Exception:  # what pydicom itself cannot write is in no file
                return
    try:
        header.save_as(file)
    except Exception:
        file.write_bytes(damaged_bytes(draw, file.read_bytes()))


def test_damaged_studies_are_refused_in_a_line_or_read(study, tmp_path):
    attempt = attempts(study, tmp_path / "d")
    assert problems(attempt, range(60)) == []
    assert everything(tmp_path, but=tmp_path / "d") == {}


@pytest.mark.slow
def test_a_thousand_more(study, tmp_path):
    assert problems(attempts(study, tmp_path / "d"), range(60, 1060)) == []
