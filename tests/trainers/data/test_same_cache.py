"""The same cases give the same prepared volumes, wherever and however they lie."""

import os

import nibabel as nib
import numpy as np
import pytest

from trainers.data.build_cache import build_cache
from trainers.data.config import Preprocess
from trainers.data.datalist import DatalistData
from trainers.data.msd import read_msd
from trainers.data.nnunet import read_nnunet
from trainers.data.table import CsvData

from .layouts import datalist_of, nnunet_of, table_of
from .volumes import SHAPE, ball, write_msd, write_nifti

# Axes in another order, mirrored, of three sizes, and not where the scanner is.
CROOKED = np.array([[0, 0, -2, 40], [-1, 0, 0, 7], [0, 1.5, 0, -5], [0, 0, 0, 1.0]])
PREPROCESS = Preprocess(spacing=(1.5, 1.5, 1.5))
CLASSES = ("background", "low", "high")


@pytest.fixture
def crooked(tmp_path):
    """Three cases of two modalities."""
    folder = write_msd(tmp_path / "msd", ["a", "b", "c"], ("T1", "FLAIR"))
    random = np.random.default_rng(1)
    for name in "abc":
        image = random.normal(100, 10, (*SHAPE, 2)).astype(np.float32)
        write_nifti(folder / "imagesTr" / f"{name}.nii.gz", image, CROOKED)
        write_nifti(folder / "labelsTr" / f"{name}.nii.gz", ball(SHAPE), CROOKED)
    return folder


def assert_same(one, other):
    assert (one.names, one.channels, one.classes) == (other.names, other.channels, other.classes)
    assert (one.modalities, one.spacing) == (other.modalities, other.spacing)
    for name in one.names:
        np.testing.assert_array_equal(one.image(name), other.image(name))
        np.testing.assert_array_equal(one.label(name), other.label(name))
        for ours, theirs in zip(one.foreground(name), other.foreground(name), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def nnunet(msd, folder):
    return read_nnunet(nnunet_of(msd, folder / "nnunet"))


def table(msd, folder):
    config = CsvData(
        path=table_of(msd, folder / "cases.csv"), classes=CLASSES, modalities=("T1", "FLAIR")
    )
    return config.open(folder)


def datalist(msd, folder):
    return DatalistData(path=datalist_of(msd, folder / "list.json")).open(folder)


@pytest.mark.parametrize("source", [nnunet, table, datalist])
def test_the_same_cases_through_two_sources_give_the_same_cache(crooked, tmp_path, source):
    expected = build_cache(read_msd(crooked), PREPROCESS, tmp_path / "one")
    found = build_cache(source(crooked, tmp_path), PREPROCESS, tmp_path / "other")
    assert_same(found, expected)


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha", ".mhd"])
def test_the_same_cases_in_two_formats_give_the_same_cache(crooked, tmp_path, ending):
    """SimpleITK writes what nibabel wrote: a mistake between LPS and RAS would show."""
    pytest.importorskip("SimpleITK")
    expected = build_cache(read_msd(crooked), PREPROCESS, tmp_path / "one")
    folder = nnunet_of(crooked, tmp_path / "nnunet", ending)
    found = build_cache(read_nnunet(folder), PREPROCESS, tmp_path / "other")
    assert_same(found, expected)


def test_a_cache_of_the_version_before_is_still_used(tmp_path):
    """Its name, as that version gave it: of files whose sizes and times do not depend on when."""
    for part, values in (("imagesTr", np.zeros(SHAPE, np.float32)), ("labelsTr", ball(SHAPE))):
        for name in "ab":
            write_nifti(file := tmp_path / part / f"{name}.nii", values)
            os.utime(file, ns=(0, 1_700_000_000_000_000_000))
    (tmp_path / "dataset.json").write_text(
        '{"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "low", "2": "high"}}'
    )
    assert nib.load(tmp_path / "imagesTr" / "a.nii").shape == SHAPE
    assert read_msd(tmp_path).fingerprint(PREPROCESS) == "54931eec5b7b33e4"
