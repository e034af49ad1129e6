"""The dictionary transforms of a bundle, from a file to a file."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.trainers.oracle import CROOKED, Oracle, exclusive, truth, write
from trainers.errors import UserError
from trainers.volumes.nifti import load_labels, save_segmentation
from trainers.volumes.settings import Intensity
from trainers.volumes.transforms import PrepareImaged, SaveLabelsd, SegmentImaged, find_images
from trainers.volumes.windows import SlabInferer

SHAPE = (9, 12, 7)


@pytest.fixture
def case(tmp_path):
    """A prepared image of 100 times its label."""
    image = tmp_path / "x.nii.gz"
    write(image, truth(SHAPE).astype(np.float32) * 100, CROOKED)
    prepare = PrepareImaged(
        orientation="LPS",
        affine="sform",
        resampling="by_axis",
        crop="foreground",
        intensities=[Intensity("ct", (0, 400))],
        spacing=None,
        channels=1,
    )
    with pytest.raises(UserError, match="has 1 channels; the network expects 2"):
        replace(prepare, channels=2)({"image": str(image)})
    return prepare({"image": str(image), "name": "kept"})


def segmented(case):
    inferer = SlabInferer((8, 8, 8), overlap=0.25, windows=2)
    return SegmentImaged(network=Oracle(), inferer=inferer, targets=exclusive(3))(case)


def test_an_image_becomes_a_tensor_that_knows_where_it_is(case):
    assert nib.aff2axcodes(case["image"].affine.numpy()) == ("L", "P", "S")
    assert sorted(case["image"].unique().tolist()) == [0, 0.25, 0.5]
    assert case["name"] == "kept"


def test_an_image_becomes_a_file_of_labels(case, tmp_path):
    SaveLabelsd(str(tmp_path / "out"))(segmented(case))
    saved = nib.load(tmp_path / "out" / "x.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(saved.dataobj), truth(SHAPE))
    np.testing.assert_array_equal(saved.affine, CROOKED)


@pytest.mark.parametrize(("image", "labels"), [("a.jpg", "a.png"), ("a.mhd", "a.mha")])
def test_labels_of_a_lossy_or_a_double_file_are_one_exact_file(tmp_path, image, labels):
    rows = np.arange(48, dtype=np.uint8).reshape(8, 6, 1) % 3
    save_segmentation(rows, like=slice_of(tmp_path / "like.png"), to=tmp_path / image)
    SaveLabelsd(str(tmp_path / "out"))({"file": tmp_path / image, "pred": rows})
    assert [file.name for file in (tmp_path / "out").iterdir()] == [labels]
    np.testing.assert_array_equal(load_labels(tmp_path / "out" / labels), rows)


def slice_of(path):
    """A picture of 8 x 6."""
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(path)
    return path


def test_labels_never_replace_their_image(case, tmp_path):
    with pytest.raises(UserError, match=r"x\.nii\.gz is the image itself"):
        SaveLabelsd(str(tmp_path / "other" / ".."))(segmented(case))


def test_the_images_of_a_folder_are_its_nifti_files(tmp_path):
    for name in ("b.nii", "A.NII.GZ", ".hidden.nii", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.nii").mkdir()
    assert [case["image"] for case in find_images(str(tmp_path))] == [
        str(tmp_path / "A.NII.GZ"),
        str(tmp_path / "b.nii"),
    ]


def test_the_channels_of_an_image_may_be_files(tmp_path):
    for name in ("b_0000.nii", "b_0001.nii", "a_0001.nii.gz", "a_0000.nii.gz"):
        (tmp_path / name).touch()
    assert [case["image"] for case in find_images(str(tmp_path), 2)] == [
        [str(tmp_path / "a_0000.nii.gz"), str(tmp_path / "a_0001.nii.gz")],
        [str(tmp_path / "b_0000.nii"), str(tmp_path / "b_0001.nii")],
    ]
    (tmp_path / "c_0000.nii").touch()
    with pytest.raises(UserError, match="c has the channels _0000; the network expects _0000 to"):
        find_images(str(tmp_path), 2)
    (tmp_path / "b_0000.nii.gz").touch()
    with pytest.raises(UserError, match=r"has both b_0000\.nii and b_0000\.nii\.gz"):
        find_images(str(tmp_path), 2)


def test_images_whose_labels_would_have_one_name_are_refused(tmp_path):
    for name in ("a.jpg", "a.png"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"has both a\.jpg and a\.png; remove one"):
        find_images(str(tmp_path))


def test_a_folder_without_images_is_no_success(tmp_path):
    with pytest.raises(UserError, match=r"has no \.nii or \.nii\.gz file"):
        find_images(str(tmp_path))
    with pytest.raises(UserError, match="is no folder"):
        find_images(str(tmp_path / "nowhere"))
