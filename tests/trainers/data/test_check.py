import gzip

import numpy as np
import pytest

from trainers.data.check import check_dataset
from trainers.data.msd import read_msd
from trainers.errors import UserError

from .volumes import SHAPE, ball, write_msd, write_nifti


def problems(folder) -> str:
    with pytest.raises(UserError) as caught:
        check_dataset(read_msd(folder))
    return str(caught.value)


def image(msd, values, name="a", affine=None):
    write_nifti(msd / "imagesTr" / f"{name}.nii.gz", values, affine)


def label(msd, values, name="a", affine=None):
    write_nifti(msd / "labelsTr" / f"{name}.nii.gz", values, affine)


def test_good_data_pass_and_progress_is_told(msd):
    steps = []
    check_dataset(read_msd(msd), lambda *step: steps.append(step))
    assert steps == [(1, 3, "checked"), (2, 3, "checked"), (3, 3, "checked")]


def test_several_modalities_pass(tmp_path):
    check_dataset(read_msd(write_msd(tmp_path, ["a"], ("T1", "T2"))))


@pytest.mark.parametrize(
    ("shape", "signs"),
    [(SHAPE, (-1, -1, -1)), ((*SHAPE[:2], 1), (-1, -1, 1)), ((1, 1, 9), (1, 1, -1))],
)
def test_volumes_whose_every_axis_is_mirrored_pass(msd, shape, signs):
    """As left, back and down: read forward on the axes of a body, the file is read backwards."""
    affine = np.diag([*signs, 1.0])
    for number, name in enumerate("abc"):
        image = np.random.default_rng(number).normal(100, 10, shape).astype(np.float32)
        write_nifti(msd / "imagesTr" / f"{name}.nii.gz", image, affine)
        write_nifti(msd / "labelsTr" / f"{name}.nii.gz", (image > 100).astype(np.uint8), affine)
    check_dataset(read_msd(msd))


def test_an_image_without_a_label(msd):
    (msd / "labelsTr" / "b.nii.gz").unlink()
    assert "  b  image without a label (imagesTr/b.nii.gz)" in problems(msd)


def test_a_label_without_an_image(msd):
    (msd / "imagesTr" / "b.nii.gz").unlink()
    assert "  b  label without an image (labelsTr/b.nii.gz)" in problems(msd)


def test_a_case_that_is_only_listed(msd):
    for part in ("imagesTr", "labelsTr"):
        (msd / part / "b.nii.gz").unlink()
    assert "  b  listed in dataset.json, but imagesTr/b.nii.gz is missing" in problems(msd)


def test_different_shapes_and_affines(msd):
    label(msd, ball((9, 9, 9)), affine=np.diag([2.0, 1, 1, 1]))
    assert (
        "  a  image 12x14x10 and label 9x9x9 differ in shape and affine (corners up to 11 mm apart)"
        in problems(msd)
    )


def test_the_affine_alone(msd):
    shifted = np.eye(4)
    shifted[0, 3] = 3
    label(msd, ball(SHAPE), affine=shifted)
    assert "label 12x14x10 differ in affine (corners up to 3 mm apart)\n" in problems(msd)


def test_a_rounding_difference_between_affines_is_fine(msd):
    label(msd, ball(SHAPE), affine=np.eye(4) + 1e-4 * np.eye(4, k=1))
    check_dataset(read_msd(msd))


def test_a_mask_of_0_and_255_is_told_what_to_write(msd):
    label(msd, (ball(SHAPE) > 0).astype(np.uint8) * 255)
    told = (
        "  a  label has the values 255 (a mask? write 1 for 255), but dataset.json expects 0 to 2"
    )
    assert told in problems(msd)


@pytest.mark.parametrize("value", [7.0, -1.0, 0.5, np.nan])
def test_a_label_value_that_is_no_class(msd, value):
    values = ball(SHAPE).astype(np.float32)
    values[0, 0, 0] = value
    label(msd, values)
    assert f"  a  label has the values {value:g}, but dataset.json expects 0 to 2" in problems(msd)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_with_a_value_that_is_no_number(msd, value):
    values = np.zeros(SHAPE, np.float32)
    values[1, 2, 3] = value
    image(msd, values)
    assert "  a  imagesTr/a.nii.gz has 1 voxels that are NaN or infinite" in problems(msd)


def test_too_many_channels(msd):
    image(msd, np.zeros((*SHAPE, 2), np.float32))
    assert "  a  imagesTr/a.nii.gz has 2 channels; dataset.json expects 1" in problems(msd)


@pytest.mark.parametrize("part", ["imagesTr", "labelsTr"])
def test_a_truncated_file(msd, part):
    file = msd / part / "a.nii.gz"
    file.write_bytes(file.read_bytes()[:100])
    assert f"  a  {part}/a.nii.gz cannot be read: truncated" in problems(msd)


def test_a_truncated_uncompressed_file(msd):
    image(msd, np.zeros(SHAPE, np.float32))
    (msd / "imagesTr" / "a.nii.gz").unlink()
    file = msd / "imagesTr" / "a.nii"
    write_nifti(file, np.zeros(SHAPE, np.float32))
    file.write_bytes(file.read_bytes()[:1000])
    assert "  a  imagesTr/a.nii cannot be read: truncated" in problems(msd)


def test_an_empty_file(msd):
    (msd / "imagesTr" / "a.nii.gz").write_bytes(b"")
    assert "  a  imagesTr/a.nii.gz cannot be read: it is empty" in problems(msd)


def test_an_ending_that_is_wrong_about_the_compression(msd):
    zipped, plain = msd / "imagesTr" / "a.nii.gz", msd / "labelsTr" / "b.nii.gz"
    zipped.rename(zipped.with_suffix(""))
    plain.write_bytes(gzip.decompress(plain.read_bytes()))
    told = problems(msd)
    assert "  a  imagesTr/a.nii cannot be read: it is compressed; a name in .nii.gz would" in told
    assert "  b  labelsTr/b.nii.gz cannot be read: it is not compressed; a name in .nii wo" in told


@pytest.mark.parametrize("content", [b"PNG", bytes(1000)])
def test_a_file_that_is_something_else(msd, content):
    (msd / "labelsTr" / "a.nii.gz").write_bytes(content)
    assert "  a  labelsTr/a.nii.gz cannot be read: truncated" in problems(msd)


def test_all_problems_come_in_one_message(msd):
    (msd / "labelsTr" / "a.nii.gz").unlink()
    image(msd, np.full(SHAPE, np.nan, np.float32), name="b")
    label(msd, np.full(SHAPE, 9, np.uint8), name="b")
    message = problems(msd)
    assert "2 of 3 cases cannot be used" in message
    assert "  a  image without" in message
    assert "  b  imagesTr/b.nii.gz has 1680 voxels" in message
    assert "  b  label has the values 9" in message
    assert "  c  " not in message
    assert "remove the cases" in message


def test_a_link_to_nothing_is_said_to_be_one(msd):
    """As git-annex and datalad leave the files that were not fetched."""
    for part in ("imagesTr", "labelsTr"):
        (msd / part / "b.nii.gz").unlink()
        (msd / part / "b.nii.gz").symlink_to("../annex/b.nii.gz")
    told = problems(msd)
    link = "b.nii.gz cannot be read: a link to ../annex/b.nii.gz, which is missing"
    assert f"  b  imagesTr/{link}\n" in told and f"  b  labelsTr/{link}\n" in told


@pytest.mark.filterwarnings("ignore:.*ignored imagesTr")
def test_a_folder_of_a_volumes_name_is_said_to_be_one(msd):
    """As some programs unpack b.nii.gz."""
    (msd / "imagesTr" / "b.nii.gz").unlink()
    (msd / "imagesTr" / "b.nii.gz").mkdir()
    assert "  b  imagesTr/b.nii.gz cannot be read: a folder\n" in problems(msd)
