"""Which files of a folder are read, and what is said of the others."""

import warnings

import nibabel as nib
import numpy as np
import pytest

from trainers.data.volume_folder import find_volumes
from trainers.errors import UserError
from trainers.volumes.files import case_name, output_name


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_endings_in_upper_case_are_read(tmp_path):
    names = ("A.NII.GZ", "b.Nii.gz", "c.NII", "d.nii", "Größe é.nii.gz")
    assert list(find_volumes(touch(tmp_path, *names))) == ["A", "Größe é", "b", "c", "d"]


@pytest.mark.parametrize(
    ("name", "case", "output"),
    [
        ("IMAGE.NII.GZ", "IMAGE", "IMAGE.nii.gz"),
        ("a.Nii", "a", "a.nii"),
        ("a.b.nii.gz", "a.b", "a.b.nii.gz"),
        ("a.gz.nii", "a.gz", "a.gz.nii"),
        ("ä.nii", "ä", "ä.nii"),
        ("a.NRRD", "a", "a.nrrd"),
        ("a.mhd", "a", "a.mha"),
        ("a.jpg", "a", "a.png"),
    ],
)
def test_what_is_made_of_a_file_keeps_its_name(tmp_path, name, case, output):
    assert (case_name(tmp_path / name), output_name(tmp_path / name)) == (case, output)


@pytest.mark.parametrize(
    "names", [("a.nii", "a.nii.gz"), ("A.NII.GZ", "A.nii.gz"), ("A.nii.gz", "a.nii.gz")]
)
def test_files_that_would_give_one_name_are_refused(tmp_path, names):
    with pytest.raises(UserError, match=f"both {names[0]} and {names[1]}"):
        find_volumes(touch(tmp_path, *names))


def test_what_is_left_out_is_said_in_one_line_and_hidden_files_are_not(tmp_path):
    touch(tmp_path, "a.nii", "b.hdr", "b.img", "c.mha", "d.nrrd", "e.txt", ".DS_Store", "._a.nii")
    (tmp_path / "f.nii").mkdir()
    with pytest.warns(UserWarning) as caught:
        assert list(find_volumes(tmp_path)) == ["a"]
    (told,) = [str(warning.message) for warning in caught]
    assert "ignored b.hdr, b.img, c.mha, d.nrrd, e.txt, f.nii (no .nii or .nii.gz file)" in told


def test_another_format_is_read_where_there_is_no_nifti(tmp_path):
    touch(tmp_path, "a.mha", "b.nrrd", "c.mhd", "c.raw", "d.raw", "e.png")
    with pytest.warns(UserWarning, match=r"ignored d\.raw, e\.png \(no \.mha, \.mhd or \.nrrd"):
        assert list(find_volumes(tmp_path)) == ["a", "b", "c"]


def test_many_that_are_left_out_are_counted(tmp_path):
    touch(tmp_path, *(f"{n:03}.txt" for n in range(300)))
    with pytest.warns(UserWarning, match=r"ignored 000\.txt, .*009\.txt and 290 more"):
        find_volumes(tmp_path)


def test_a_folder_of_volumes_alone_is_not_spoken_of(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), tmp_path / "a.nii")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_volumes(tmp_path)
