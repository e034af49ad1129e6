import numpy as np
import pytest

from tests.trainers.oracle import CROOKED, segmenter, truth, write
from trainers.errors import UserError


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


def test_channels_that_the_network_does_not_expect_are_refused(tmp_path):
    write(tmp_path / "a.nii.gz", np.zeros((8, 8, 8), np.float32))
    with pytest.raises(UserError, match=r"a\.nii\.gz has 1 channels; the network expects 2"):
        segmenter(channels=2).segment(tmp_path / "a.nii.gz")
