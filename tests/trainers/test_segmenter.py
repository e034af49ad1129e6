import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from trainers.data import Preprocess
from trainers.errors import UserError
from trainers.evaluate import evaluate_folder, predict_folder
from trainers.segmenter import Segmenter

CLASSES = ("background", "liver", "kidney")
# Left-right and front-back mirrored, axes in another order, 1 x 2 x 3 mm.
CROOKED = np.array([[0, 0, -3, 40], [-1, 0, 0, 7], [0, 2, 0, -5], [0, 0, 0, 1.0]])


class Oracle(nn.Module):
    """Images hold 100 times their label, which the window 0 to 400 makes a quarter of it."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(4.0))

    def forward(self, x):
        return torch.cat([-((self.scale * x - c) ** 2) for c in range(3)], dim=1)


def segmenter(spacing=None, channels=1, crop="none"):
    return Segmenter(
        network=Oracle().eval(),
        preprocess=Preprocess(spacing="native", crop=crop, intensity="ct", window=(0, 400)),
        spacing=spacing,
        channels=channels,
        classes=CLASSES,
        patch=(8, 8, 8),
        overlap=0.25,
    )


def truth(shape, seed=0):
    """Blocks of 4 voxels, so that resampling by two leaves most of them in place."""
    small = np.random.default_rng(seed).integers(0, 3, [-(-n // 4) for n in shape])
    blocks = small.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    return blocks[tuple(slice(n) for n in shape)].astype(np.uint8)


def write(path, values, affine=CROOKED):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)


@pytest.fixture
def folder(tmp_path):
    """Two cases of different shapes; the segmentations are perfect unless labels are changed."""
    for name, shape in (("a", (9, 12, 7)), ("b", (16, 6, 10))):
        label = truth(shape)
        write(tmp_path / "images" / f"{name}.nii.gz", label.astype(np.float32) * 100)
        write(tmp_path / "labels" / f"{name}.nii.gz", label)
    return tmp_path


@pytest.mark.parametrize("affine", [np.eye(4), CROOKED, np.diag([-1, -1, 4, 1.0])])
@pytest.mark.parametrize("crop", ["none", "foreground"])
def test_a_segmentation_lies_on_its_images_voxels(tmp_path, affine, crop):
    label = truth((9, 12, 7))
    write(tmp_path / "a.nii.gz", label.astype(np.float32) * 100, affine)
    found = segmenter(crop=crop).segment(tmp_path / "a.nii.gz")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, label)


def test_a_network_of_another_spacing_gives_the_images_voxels_back(tmp_path):
    label = truth((16, 16, 16))
    write(tmp_path / "a.nii.gz", label.astype(np.float32) * 100, np.eye(4))
    found = segmenter(spacing=(0.5, 0.5, 0.5)).segment(tmp_path / "a.nii.gz")
    assert found.shape == label.shape
    assert (found == label).mean() > 0.8  # linear interpolation makes ones between 0 and 2


def test_channels_that_the_network_does_not_expect_are_refused(folder):
    with pytest.raises(UserError, match=r"a\.nii\.gz has 1 channels; the network expects 2"):
        segmenter(channels=2).segment(folder / "images" / "a.nii.gz")


def test_predictions_have_the_shape_and_affine_of_their_images(folder):
    seen = []
    written = predict_folder(
        segmenter(), folder / "images", folder / "out", lambda *step: seen.append(step)
    )
    assert [path.name for path in written] == ["a.nii.gz", "b.nii.gz"]
    assert seen == [(1, 2, "segmented"), (2, 2, "segmented")]
    for path in written:
        image, found = nib.load(folder / "images" / path.name), nib.load(path)
        assert found.shape == image.shape
        np.testing.assert_array_equal(found.affine, image.affine)
        assert found.get_data_dtype() == np.uint8
        expected = nib.load(folder / "labels" / path.name).get_fdata()
        np.testing.assert_array_equal(found.get_fdata(), expected)


def test_predictions_never_overwrite_the_images(folder):
    with pytest.raises(UserError, match="holds the images"):
        predict_folder(segmenter(), folder / "images", folder / "labels" / ".." / "images")


def test_a_folder_without_volumes_is_told(folder):
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty has no \.nii or \.nii\.gz file"):
        predict_folder(segmenter(), folder / "empty", folder / "out")


def test_a_perfect_segmentation_scores_one(folder):
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    assert found.dice == 1
    assert found.dice_per_class == {"liver": 1, "kidney": 1}
    assert found.cases.keys() == {"a", "b"}


def test_dice_of_a_folder_by_hand(folder):
    """Half of a's kidney is called background in the truth, and b has no kidney at all."""
    image = np.zeros((8, 8, 8), np.float32)
    image[:4], image[4:, :4] = 100, 200  # 256 voxels of liver, 128 of kidney
    label = (image / 100).astype(np.uint8)
    label[4:, :2] = 0
    write(folder / "images" / "a.nii.gz", image)
    write(folder / "labels" / "a.nii.gz", label)
    write(folder / "images" / "b.nii.gz", np.where(image == 200, 0, image))
    write(folder / "labels" / "b.nii.gz", np.where(image == 200, 0, image / 100).astype(np.uint8))

    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    kidney = 2 * 64 / (128 + 64)
    assert found.cases["a"] == pytest.approx(
        {"dice": (1 + kidney) / 2, "liver": 1.0, "kidney": kidney}
    )
    assert found.cases["b"] == {"dice": 1.0, "liver": 1.0, "kidney": None}
    assert found.dice == pytest.approx(((1 + kidney) / 2 + 1) / 2)
    assert found.dice_per_class == pytest.approx({"liver": 1.0, "kidney": kidney})


def test_images_that_cannot_be_scored_are_all_listed(folder):
    (folder / "labels" / "a.nii.gz").unlink()
    write(folder / "labels" / "b.nii.gz", truth((16, 6, 9)))
    with pytest.raises(UserError) as error:
        evaluate_folder(segmenter(), folder / "images", folder / "labels")
    assert "a  image without a label (images/a.nii.gz)" in str(error.value)
    assert "b  image 16x6x10 and label 16x6x9 differ in shape" in str(error.value)


def test_labels_without_an_image_are_not_asked_for(folder):
    (folder / "images" / "b.nii.gz").unlink()
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    assert found.cases.keys() == {"a"}


def test_names_are_matched_across_endings(folder):
    label = nib.load(folder / "labels" / "a.nii.gz")
    nib.save(label, folder / "labels" / "a.nii")
    (folder / "labels" / "a.nii.gz").unlink()
    assert evaluate_folder(segmenter(), folder / "images", folder / "labels").dice == 1
