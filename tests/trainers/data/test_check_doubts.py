"""What is doubtful of one case: said, and used all the same."""

import gzip
import warnings

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.trainers.oracle import segmenter
from trainers.data.check import check_dataset, examine
from trainers.data.check.facts import content
from trainers.data.check.finding import Kind
from trainers.data.check.outliers import far_voxels
from trainers.data.dataset import Dataset
from trainers.data.msd import MsdData, read_msd
from trainers.data.prepare import prepare_data
from trainers.data.source import Case
from trainers.evaluate import evaluate_folder

from .volumes import SHAPE, ball, write_msd, write_nifti

NOISE = np.random.default_rng(5)


def noise(shape=SHAPE) -> np.ndarray:
    return NOISE.normal(100, 10, shape).astype(np.float32)


def doubts(folder) -> list[tuple[str | None, str, str]]:
    check = examine(read_msd(folder))
    assert not [one for one in check.findings if one.fault]
    assert len(check.cases) == 3
    return [(one.case, one.kind.value, one.message) for one in check.findings]


def rewrite(path, change) -> None:
    """The volume with another header."""
    volume = nib.load(path)
    values = np.asarray(volume.dataobj)
    new = nib.Nifti1Image(values, volume.affine, volume.header)
    change(new)
    nib.save(new, path)


def test_good_data_raise_no_doubt(msd):
    assert doubts(msd) == []


@pytest.mark.parametrize("value", [1e6, -1e6, -3.4e38, 6000])
def test_one_voxel_far_from_the_others(msd, value):
    values = noise()
    values[3, 4, 5] = value
    write_nifti(msd / "imagesTr" / "b.nii.gz", values)
    [(case, kind, message)] = doubts(msd)
    assert (case, kind) == ("b", "outlier voxels")
    assert f"1 voxel as far as {np.float32(value).item():.7g}, 99% of the others are" in message


def test_a_far_voxel_of_one_channel_is_said_with_the_channel(tmp_path):
    folder = write_msd(tmp_path, ["a", "b", "c"], ("T1", "T2"))
    values = noise((*SHAPE, 2))
    values[3, 4, 5, 1] = 1e5
    write_nifti(folder / "imagesTr" / "c.nii.gz", values)
    [(case, _, message)] = doubts(folder)
    assert case == "c"
    assert message.startswith("image in channel 1 has 1 voxel as far as 100000")


def ct(metal: float = 0.0) -> np.ndarray:
    """Nine tenths of air at exactly -1024, a body around 40 HU with bone, and some metal."""
    rng = np.random.default_rng(1)
    values = np.full((40, 40, 40), -1024.0)
    values[10:30, 10:30, 10:30] = rng.normal(40, 120, (20, 20, 20))
    values[18:22, 18:22, 10:30] = rng.normal(900, 200, (4, 4, 20))
    if metal:
        values[12:14, 12:14, 12:14] = metal
    return np.rint(values).astype(np.int16)


@pytest.mark.parametrize(
    "ordinary",
    [
        pytest.param(ct(), id="CT"),
        pytest.param(ct(31_719), id="CT with metal"),  # the highest of a public planning CT
        pytest.param(np.random.default_rng(2).rayleigh(50, (30, 30, 30)), id="MRI"),
        pytest.param(np.random.default_rng(3).lognormal(4, 1, (30, 30, 30)), id="long tail"),
        pytest.param((np.arange(27_000) % 50 == 0).reshape(30, 30, 30) * 7.0, id="a mask"),
        pytest.param(np.full((9, 9, 9), 3.0), id="constant"),
    ],
)
def test_ordinary_intensities_are_not_far(ordinary):
    assert far_voxels(ordinary) is None


def test_a_constant_image(msd):
    write_nifti(msd / "imagesTr" / "a.nii.gz", np.full(SHAPE, 7, np.int16))
    assert doubts(msd) == [("a", "constant image", "image is 7 everywhere")]


def test_an_empty_label(msd):
    write_nifti(msd / "labelsTr" / "c.nii.gz", np.zeros(SHAPE, np.uint8))
    assert doubts(msd) == [("c", "empty label", "label is background alone")]


def test_float_labels_that_are_rounded(msd):
    values = ball(SHAPE).astype(np.float32)
    values[values == 1] = 0.99999994
    write_nifti(msd / "labelsTr" / "a.nii.gz", values)
    told = "label has 0.9999999403953552, rounded to whole numbers"
    assert doubts(msd) == [("a", "label storage", told)]


def test_float_labels_that_are_whole_numbers_are_fine(msd):
    write_nifti(msd / "labelsTr" / "a.nii.gz", ball(SHAPE).astype(np.float32))
    assert doubts(msd) == []


def test_a_label_with_a_scale_factor(msd):
    path = msd / "labelsTr" / "a.nii.gz"
    values = ball(SHAPE)
    write_nifti(path, values * 2)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[112:120] = np.array([0.5, 0], np.float32).tobytes()
    raw[352:] = (values * 2).tobytes(order="F")
    path.write_bytes(gzip.compress(bytes(raw)))
    told = "label has a scale factor in its header (scaled by 0.5, plus 0)"
    assert doubts(msd) == [("a", "label storage", told)]


def test_a_unit_that_is_not_the_millimetre(msd):
    for part in ("imagesTr", "labelsTr"):
        affine = np.diag([0.001, 0.001, 0.001, 1])
        write_nifti(msd / part / "b.nii.gz", noise() if part == "imagesTr" else ball(SHAPE), affine)
        rewrite(msd / part / "b.nii.gz", lambda v: v.header.set_xyzt_units("meter"))
    told = "the header's unit is the metre: voxels are 1 x 1 x 1 mm"
    assert doubts(msd) == [("b", "unit", told)]


def set_pixdim(path, sizes) -> None:
    """The header keeps voxels of 1 mm in the affine, and says others beside it."""
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[80:92] = np.array(sizes, np.float32).tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))


@pytest.mark.parametrize("sizes", [(1.6, 1.6, 10), (1, 1, np.nan), (1, 1, 1e6)])
def test_an_affine_and_pixdim_that_disagree(msd, sizes):
    set_pixdim(msd / "imagesTr" / "b.nii.gz", sizes)
    [(case, kind, message)] = doubts(msd)
    assert (case, kind) == ("b", "geometry")
    told = " x ".join(f"{size:g}" for size in sizes)
    assert f"1 x 1 x 1 by the affine and {told} by pixdim" in message
    assert "data.preprocess.affine: pixdim" in message


def test_what_was_mended_is_said_once(msd):
    """Not again each time that the file is opened after the check."""
    set_pixdim(msd / "imagesTr" / "b.nii.gz", (-1, 1, 1))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        prepare_data(MsdData(path=msd), msd.parent)
        evaluate_folder(segmenter(), msd / "imagesTr", msd / "labelsTr")
    mended = [str(one.message) for one in told if "has a wrong header" in str(one.message)]
    assert len(mended) == 2  # of the data set, and of the folder that is evaluated
    assert all("used, with doubts" in one for one in mended)


def test_a_disagreement_that_was_decided_is_not_told_again(msd):
    path = msd / "imagesTr" / "b.nii.gz"
    rewrite(path, lambda v: v.set_qform(np.diag([2.0, 1, 1, 1]), code=1))
    assert {(case, kind) for case, kind, _ in doubts(msd)} == {("b", "geometry")}
    decided = examine(read_msd(msd), rule="pixdim").findings
    assert not [one for one in decided if one.kind == Kind.GEOMETRY]


def test_doubts_are_one_warning_and_many_cases_one_line_of_it(tmp_path):
    folder = write_msd(tmp_path, [f"case_{i:02d}" for i in range(12)])
    for i in range(9):
        write_nifti(folder / "labelsTr" / f"case_{i:02d}.nii.gz", np.zeros(SHAPE, np.uint8))
    with pytest.warns(UserWarning) as told:
        check_dataset(read_msd(folder))
    [warning] = told
    first, second = str(warning.message).splitlines()
    assert first == f"{folder}: used, with doubts"
    assert second == ("  9 cases: case_00, case_01, case_02, ...  label is background alone")


def test_different_doubts_of_one_kind_are_told_by_an_example(tmp_path):
    folder = write_msd(tmp_path, [f"case_{i}" for i in range(6)])
    for i in range(5):
        write_nifti(folder / "imagesTr" / f"case_{i}.nii.gz", np.full(SHAPE, i, np.uint8))
    with pytest.warns(UserWarning) as told:
        check_dataset(read_msd(folder))
    assert str(told[0].message).splitlines()[1:] == [
        "  5 cases: case_0, case_1, case_2, ...  such as case_0: image is 0 everywhere"
    ]


def test_content_is_equal_for_equal_numbers_alone():
    values = ball(SHAPE)
    assert content(values) == content(np.asfortranarray(values)) == content(values * 1.0)
    assert content(values) != content(values[::-1])
    assert content(values) != content(values.reshape(14, 12, 10))


def test_facts_of_a_case_are_along_right_front_and_up(tmp_path):
    """The file's axes run down, left and to the front; class 2 has 3 voxels."""
    affine = np.array([[0, -2, 0, 0], [0, 0, 3, 0], [-1.5, 0, 0, 0], [0, 0, 0, 1.0]])
    folder = write_msd(tmp_path, ["a"])
    label = np.zeros((4, 5, 6), np.uint8)
    label[0, 0, :3], label[1, :2, 0] = 2, 1
    write_nifti(folder / "imagesTr" / "a.nii.gz", np.arange(120.0).reshape(4, 5, 6), affine)
    write_nifti(folder / "labelsTr" / "a.nii.gz", label, affine)
    [facts] = examine(read_msd(folder)).cases
    assert (facts.shape, facts.voxel_size) == ((5, 6, 4), (2, 3, 1.5))
    assert facts.voxels == (115, 2, 3)
    assert facts.intensities[0][0] == 0
    assert facts.intensities[0][2] == 59.5
    assert facts.intensities[0][4] == 119


def picture_findings(folder, orientation, shape, label_orientation=1) -> list[tuple[str, str]]:
    """Of a JPEG of 6 columns and 4 rows with this orientation, and a label of `shape`."""
    for name, turn, pixels in (
        ("a.jpg", orientation, np.arange(24, dtype=np.uint8).reshape(4, 6)),
        ("a.png", label_orientation, np.eye(*shape, dtype=np.uint8)),
    ):
        exif = Image.Exif()
        exif[0x0112] = turn
        Image.fromarray(pixels).save(folder / name, exif=exif)
    case = Case("a", folder / "a.jpg", folder / "a.png")
    check = examine(Dataset(folder, ("grey",), ("background", "lesion"), (case,)))
    return [(one.kind.value, one.message) for one in check.findings]


def test_a_label_of_a_turned_picture_that_is_not_turned_is_told(tmp_path):
    """Sizes do not say whether it was drawn on the picture as it is shown, or as it is stored."""
    assert picture_findings(tmp_path, 1, (4, 6)) == []
    assert picture_findings(tmp_path, 3, (4, 6), 3) == []
    for orientation, shape in ((3, (4, 6)), (6, (6, 4))):
        [(kind, message)] = picture_findings(tmp_path, orientation, shape)
        assert kind == "geometry"
        assert message.startswith("the image is turned by its EXIF orientation, the label is not")


def test_a_label_of_a_picture_as_it_is_stored_is_refused(tmp_path):
    [(kind, message)] = picture_findings(tmp_path, 6, (4, 6))
    assert kind == "image and label differ"
    assert message == (
        "image 4x6x1 and label 6x4x1 differ in shape: the image is turned by its EXIF orientation, "
        "the label is not"
    )
