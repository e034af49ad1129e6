"""What is said of files that are damaged, contradict themselves or ask for too much."""

import pickle
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest

from tests.trainers.oracle import segmenter, truth
from trainers.errors import UserError
from trainers.predict import predict_folder
from trainers.volumes.errors import DoubtWarning
from trainers.volumes.geometry import doubts
from trainers.volumes.nifti import load_volume, open_nifti

LABELS = truth((8, 9, 7))


def image(path, affine=None, **fields):
    """A file with these fields of the header, as they are."""
    volume = nib.Nifti1Image(LABELS.astype(np.int16) * 100, np.eye(4) if affine is None else affine)
    volume.set_qform(volume.affine, 1)
    raw = bytearray(volume.to_bytes())
    header = np.frombuffer(bytes(raw[:348]), volume.header.structarr.dtype).copy()
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.tobytes() + bytes(raw[348:]))
    return path


@pytest.mark.parametrize("place", [-1, -8, -40])
def test_a_packed_file_whose_checksum_does_not_fit_is_refused(tmp_path, place):
    """The last byte is of the length, the eighth from behind of the checksum."""
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(LABELS.astype(np.int16) * 100, np.eye(4)), path)
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"a\.nii\.gz cannot be read"):
        load_volume(path)


def test_what_is_mended_in_a_header_is_said_with_the_file(tmp_path):
    path = image(tmp_path / "a.nii", sform_code=7)
    with pytest.warns(UserWarning, match=r"a\.nii has a wrong header.*sform_code 7 not valid"):
        open_nifti(path)


def test_a_doubt_comes_whole_from_another_process():
    doubt = pickle.loads(pickle.dumps(DoubtWarning(Path("a.nii"), "has two answers")))
    assert (str(doubt), doubt.told) == ("a.nii has two answers", "has two answers")


def test_a_qform_that_is_none_is_a_doubt_and_not_the_end(tmp_path):
    """A rotation's quaternion has length 1."""
    path = image(tmp_path / "a.nii", quatern_b=2.0)
    (told,) = doubts(open_nifti(path))
    assert "its qform cannot be used (a qform whose numbers are none of a rotation)" in told
    with pytest.raises(UserError, match="has a qform whose numbers are none of a rotation"):
        load_volume(path, "qform")


def test_headers_that_contradict_themselves_are_said_once_for_all(tmp_path):
    """Five images of one doubt are one line."""
    (tmp_path / "images").mkdir()
    for name in "abcde":
        sizes = (1, 1.6, 1.6, 10, 1, 1, 1, 1)
        image(tmp_path / "images" / f"{name}.nii", pixdim=sizes)
    with pytest.warns(UserWarning, match="used, with doubts") as caught:
        done = predict_folder(segmenter(), tmp_path / "images", tmp_path / "out")
    assert len(done.written) == 5
    (told,) = [str(warning.message) for warning in caught]
    assert (
        "5 cases: a.nii, b.nii, c.nii, ...  voxels are 1 x 1 x 1 by the affine and "
        "1.6 x 1.6 x 10 by pixdim"
    ) in told


def test_a_header_that_does_not_is_not_spoken_of(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = image(tmp_path / "a.nii")
        predict_folder(segmenter(), path, tmp_path / "out")


def test_voxels_of_decimetres_are_not_brought_to_a_millimetre(tmp_path):
    """A million times as many; ten times finer along every axis is still done."""
    path = image(tmp_path / "a.nii", np.diag([100.0, 100, 100, 1]))
    with pytest.raises(UserError, match="over 1000 times as many as it has"):
        segmenter(spacing=(1.0, 1.0, 1.0)).prepare(path)
    prepared = segmenter(spacing=(11.0, 11.0, 11.0)).prepare(path)
    assert prepared.image.shape[1] > 60


def test_logits_that_would_not_fit_are_refused_before_they_are_made(tmp_path, monkeypatch):
    """3 classes of 504 voxels, 4 bytes each."""
    path = image(tmp_path / "a.nii")
    free = psutil.virtual_memory()._replace(available=6_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    with pytest.raises(UserError, match=r"a\.nii: 3 classes of 8 x 9 x 7 voxels, which take"):
        segmenter().segment(path)
