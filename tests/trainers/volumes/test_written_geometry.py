"""A label file says where it is exactly as its image does, and nothing else of the image."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import from_matvec
from nibabel.eulerangles import euler2mat

from trainers.volumes.nifti import save_segmentation

SHAPE = (4, 5, 6)
OBLIQUE = from_matvec(euler2mat(0.2, 0.1, 0.3) @ np.diag([1, 1.5, 2]), [5, 6, 7])
OTHER = np.array([[-1, 0, 0, 9], [0, -1.5, 0, 9], [0, 0, 2, 9], [0, 0, 0, 1.0]])
FORMS = {  # sform and qform, each an affine and its code
    "both": ((OBLIQUE, 1), (OBLIQUE, 1)),
    "sform only": ((OBLIQUE, 2), (None, 0)),
    "qform only": ((None, 0), (OBLIQUE, 1)),
    "neither": ((None, 0), (None, 0)),
    "both differ": ((OBLIQUE, 2), (OTHER, 1)),
    "both differ, scanner": ((OBLIQUE, 1), (OTHER, 1)),
    "standard space": ((OBLIQUE, 4), (OTHER, 3)),
}
PRIVATE = ("descrip", "aux_file", "intent_name", "intent_code", "intent_p1", "cal_max", "cal_min",
           "slice_start", "slice_end", "slice_code", "slice_duration", "toffset",
           "dim_info")  # fmt: skip


def write_image(
    path: Path, form: str, version: int = 1, endianness: str = "<", unit: int = 2
) -> Path:
    """An image whose header is full of what is nobody's business."""
    (sform, s_code), (qform, q_code) = FORMS[form]
    kind = (nib.Nifti1Image, nib.Nifti2Image)[version - 1]
    header = kind.header_class(endianness=endianness)
    header.set_data_dtype(np.int16)
    header.set_data_shape(SHAPE)
    header.set_qform(qform, q_code)
    header.set_sform(sform, s_code)
    header["pixdim"][1:4] = (1, 1.5, 2)
    header["xyzt_units"] = unit | 8
    header["descrip"], header["aux_file"] = b"Jane Doe 1970", b"scan of Jane"
    header["intent_name"], header["intent_code"], header["intent_p1"] = b"t-test", 3, 12
    header["cal_max"], header["cal_min"], header["toffset"] = 4000, -10, 3
    header["slice_end"], header["slice_code"], header["slice_duration"] = 5, 1, 0.1
    header.set_dim_info(0, 1, 2)
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)
    image = kind(values, None, header)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    nib.save(image, path)
    return path


def check(image: Path, written: Path) -> None:
    told, found = nib.load(image), nib.load(written)
    assert type(found) is type(told)
    assert found.shape == SHAPE
    np.testing.assert_array_equal(found.affine, told.affine)
    for coded in ("get_sform", "get_qform"):
        (theirs, code), (ours, our_code) = (
            getattr(volume, coded)(coded=True) for volume in (told, found)
        )
        assert our_code == code
        if code:
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found.header["pixdim"][:4], told.header["pixdim"][:4])
    assert found.header["xyzt_units"] == told.header["xyzt_units"] & 7
    clean = type(found.header)()
    for name in PRIVATE:
        assert found.header[name].item() == clean[name].item(), name
    assert not found.header.extensions
    assert b"Jane" not in found.to_bytes()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_label_lies_where_its_image_does(tmp_path, form, name):
    image = write_image(tmp_path / name, form)
    save_segmentation(np.full(SHAPE, 2, np.uint8), image, tmp_path / "out" / name)
    check(image, tmp_path / "out" / name)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("version", "endianness"), [(1, ">"), (2, "<"), (2, ">")])
def test_of_every_kind_of_nifti(tmp_path, form, version, endianness):
    image = write_image(tmp_path / "a.nii", form, version, endianness)
    save_segmentation(np.full(SHAPE, 300, np.uint16), image, tmp_path / "s.nii")
    check(image, tmp_path / "s.nii")
    assert nib.load(tmp_path / "s.nii").get_data_dtype() == np.uint16


@pytest.mark.parametrize("unit", [0, 1, 2, 3])
def test_in_the_units_of_the_image(tmp_path, unit):
    image = write_image(tmp_path / "a.nii", "both", unit=unit)
    save_segmentation(np.ones(SHAPE, np.uint8), image, tmp_path / "s.nii")
    check(image, tmp_path / "s.nii")
