"""Kinds of NIfTI files that people have: refused in the same line everywhere, or read right."""

import json

import nibabel as nib
import numpy as np
import pytest

from tests.trainers.oracle import CLASSES, CROOKED, segmenter, truth
from trainers.data.config import Preprocess, Split
from trainers.data.msd import MsdData
from trainers.data.prepare import prepare_data
from trainers.errors import UserError
from trainers.evaluate import evaluate_folder
from trainers.predict import predict_folder

SHAPE = (9, 12, 7)
LABELS = truth(SHAPE)
IMAGE = LABELS.astype(np.float32) * 100


def rgb():
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return nib.Nifti1Image(np.zeros(SHAPE, kind), CROOKED)


def sheared():
    affine = CROOKED.copy()
    affine[1, 2] = 2
    return nib.Nifti1Image(IMAGE, affine)


def flat():
    image = nib.Nifti1Image(IMAGE, CROOKED)
    image.header["srow_x"], image.header["srow_y"] = (1, 0, 0, 0), (0, 1, 0, 0)
    image.header["srow_z"] = 0
    return nib.Nifti1Image(IMAGE, None, image.header)


def with_nan():
    values = IMAGE.copy()
    values[2, 3, 4] = np.nan
    return nib.Nifti1Image(values, CROOKED)


REFUSED = {
    "RGB": (rgb, "has RGB voxels; expected one number a voxel"),
    "complex": (
        lambda: nib.Nifti1Image(IMAGE.astype(np.complex64), CROOKED),
        "has complex voxels; expected one number a voxel",
    ),
    "five axes": (
        lambda: nib.Nifti1Image(np.zeros((*SHAPE, 2, 3), np.float32), CROOKED),
        "has 5 axes (9x12x7x2x3); expected 3, or 4 with the channels as the last",
    ),
    "two axes": (
        lambda: nib.Nifti1Image(np.zeros((9, 12), np.float32), CROOKED),
        "has 2 axes (9x12); expected 3, or 4 with the channels as the last",
    ),
    "sheared": (sheared, "has a sheared affine: axes 1 and 3 are at "),
    "flat": (flat, "has an affine with voxels of 1 x 1 x 0 mm"),
    "NaN": (with_nan, "that are NaN or infinite"),
    "several channels": (lambda: nib.Nifti1Image(np.stack([IMAGE] * 2, -1), CROOKED), "2 channels"),
}


def write_data(folder, image, label=None):
    """A data set of one odd case and two others."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    nib.save(image, folder / "imagesTr" / "x.nii")
    nib.save(label or nib.Nifti1Image(LABELS, CROOKED), folder / "labelsTr" / "x.nii")
    for seed, name in enumerate("yz", start=1):
        values = truth(SHAPE, seed)
        plain = nib.Nifti1Image(values.astype(np.float32) * 100, CROOKED)
        nib.save(plain, folder / "imagesTr" / f"{name}.nii")
        nib.save(nib.Nifti1Image(values, CROOKED), folder / "labelsTr" / f"{name}.nii")
    told = {"modality": {"0": "CT"}, "labels": {str(n): c for n, c in enumerate(CLASSES)}}
    (folder / "dataset.json").write_text(json.dumps(told))
    return folder


def as_read(values):
    """The axes of `CROOKED` in the order right, front, up."""
    return values.transpose(2, 0, 1)[::-1, ::-1]


def search(folder):
    preprocess = Preprocess(spacing="native", crop="none", intensity="ct", window=(0, 400))
    data = MsdData(path=folder, preprocess=preprocess, split=Split())
    return prepare_data(data, folder.parent / "work")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line_by_predict_evaluate_and_search(tmp_path, kind):
    make, why = REFUSED[kind]
    folder = write_data(tmp_path / "data", make())
    images, labels = folder / "imagesTr", folder / "labelsTr"
    with pytest.raises(UserError) as from_python:
        segmenter().segment(images / "x.nii")
    done = predict_folder(segmenter(), images, tmp_path / "out")
    assert done.failed == {"x.nii": str(from_python.value)}
    assert why in str(from_python.value)
    assert "\n" not in str(from_python.value)
    for command in (
        lambda: evaluate_folder(segmenter(), images, labels),
        lambda: search(folder),
    ):
        with pytest.raises(UserError) as told:
            command()
        lines = [line for line in str(told.value).splitlines() if line.startswith("  x")]
        assert any(why.removeprefix("has ") in line for line in lines), told.value


def extended():
    image = nib.Nifti1Image(IMAGE, CROOKED)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 1000))
    return image


def scaled(values, dtype, slope, inter):
    """Stored as integers, with the scaling in the header."""
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_slope_inter(slope, inter)
    stored = np.rint((values.astype(float) - inter) / slope)
    image = nib.Nifti1Image(stored.astype(dtype), CROOKED, header)
    image.header.set_slope_inter(slope, inter)
    return image


READ = {
    "NIfTI-2": lambda: nib.Nifti2Image(IMAGE, CROOKED),
    "big-endian": lambda: nib.Nifti1Image(IMAGE, CROOKED, nib.Nifti1Header(endianness=">")),
    "extensions": extended,
    "a fourth axis of 1": lambda: nib.Nifti1Image(IMAGE[..., None], CROOKED),
    "a fourth and a fifth": lambda: nib.Nifti1Image(IMAGE[..., None, None], CROOKED),
    "int64": lambda: nib.Nifti1Image(IMAGE.astype(np.int64), CROOKED, dtype=np.int64),
    "float64": lambda: nib.Nifti1Image(IMAGE.astype(np.float64), CROOKED),
    "scaled": lambda: scaled(IMAGE, np.int16, 0.5, 10),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", READ)
def test_read_right_by_predict_evaluate_and_search(tmp_path, kind):
    folder = write_data(tmp_path / "data", READ[kind]())
    images, labels = folder / "imagesTr", folder / "labelsTr"
    done = predict_folder(segmenter(), images, tmp_path / "out")
    assert not done.failed
    np.testing.assert_array_equal(nib.load(tmp_path / "out" / "x.nii").get_fdata(), LABELS)
    assert evaluate_folder(segmenter(), images, labels).dice == 1.0
    cache, _ = search(folder)
    np.testing.assert_array_equal(cache.image("x")[0], as_read(IMAGE / 400))


ODD_LABELS = {
    "int64": lambda: nib.Nifti1Image(LABELS.astype(np.int64), CROOKED, dtype=np.int64),
    "float": lambda: nib.Nifti1Image(LABELS * np.float32(0.99999994), CROOKED),
    "scaled int32": lambda: scaled(LABELS, np.int32, 2.0**-30, 0.5),  # 1 reads as 0.9999...
}


@pytest.mark.parametrize("kind", ODD_LABELS)
def test_labels_that_mean_whole_numbers_are_read(tmp_path, kind):
    folder = write_data(tmp_path / "data", nib.Nifti1Image(IMAGE, CROOKED), ODD_LABELS[kind]())
    assert evaluate_folder(segmenter(), folder / "imagesTr", folder / "labelsTr").dice == 1.0
    cache, _ = search(folder)
    np.testing.assert_array_equal(cache.label("x"), as_read(LABELS))


def test_labels_far_from_whole_numbers_are_refused_with_their_digits(tmp_path):
    label = nib.Nifti1Image(LABELS * np.float32(0.75), CROOKED)
    folder = write_data(tmp_path / "data", nib.Nifti1Image(IMAGE, CROOKED), label)
    for command in (
        lambda: evaluate_folder(segmenter(), folder / "imagesTr", folder / "labelsTr"),
        lambda: search(folder),
    ):
        with pytest.raises(UserError, match=r"label has the values 0\.75, 1\.5, but"):
            command()
