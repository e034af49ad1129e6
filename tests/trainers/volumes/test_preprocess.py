import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing
from scipy.spatial.transform import Rotation

from tests.trainers.data.volumes import ball, settings_of, write_nifti
from tests.trainers.oracle import exclusive
from trainers.errors import UserError
from trainers.volumes.geometry import oriented_spacing
from trainers.volumes.nifti import save_segmentation
from trainers.volumes.preprocess import prepare_image, prepare_label
from trainers.volumes.restore import restore

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ROTATED = np.eye(4)
ROTATED[:3, :3] = Rotation.from_euler("xyz", [12, -8, 20], degrees=True).as_matrix() @ np.diag(
    [0.8, 1.0, 2.5]
)
ROTATED[:3, 3] = (-31, 17, 5)
SWAPPED = np.array([[0, 0, 1.5, -4], [-1.0, 0, 0, 9], [0, 1.2, 0, 2], [0, 0, 0, 1]])
AFFINES = {"ras": np.eye(4), "lps": LPS, "rotated": ROTATED, "swapped": SWAPPED}
SHAPE = (26, 32, 20)


@pytest.fixture(params=AFFINES.values(), ids=AFFINES.keys())
def case(request, tmp_path):
    """Image and label files; the image is empty but for a box around the label."""
    label = ball(SHAPE)
    image = np.zeros(SHAPE, np.float32)
    image[3:-4, 4:-3, 2:-1] = 50 + 10 * label[3:-4, 4:-3, 2:-1]
    files = tmp_path / "image.nii.gz", tmp_path / "label.nii.gz"
    write_nifti(files[0], image, request.param)
    write_nifti(files[1], label, request.param)
    return files


def there_and_back(case, preprocess, spacing):
    image, label = case
    prepared = prepare_image(image, preprocess, spacing)
    seen = prepare_label(label, prepared, 3)
    assert seen.shape == prepared.image.shape[1:]
    logits = np.stack([seen == index for index in range(3)]).astype(np.float32)
    return restore(logits, prepared, exclusive(3))


def dice(a, b, index):
    return 2 * np.sum((a == index) & (b == index)) / (np.sum(a == index) + np.sum(b == index))


@pytest.mark.parametrize("crop", ["none", "foreground"])
def test_at_native_spacing_labels_come_back_unchanged(case, crop):
    labels = there_and_back(case, settings_of(spacing="native", crop=crop), None)
    np.testing.assert_array_equal(labels, np.asanyarray(nib.load(case[1]).dataobj))


def test_through_a_resampling_labels_come_back_nearly_unchanged(case):
    labels = there_and_back(case, settings_of(), (0.9, 0.9, 1.1))
    truth = np.asanyarray(nib.load(case[1]).dataobj)
    assert labels.shape == truth.shape
    assert min(dice(labels, truth, 1), dice(labels, truth, 2)) > 0.95


@pytest.mark.parametrize("spacing", [(0.9, 0.9, 1.1), (2.0, 1.0, 4.0), (3.0, 0.5, 1.0)])
def test_trilinear_is_what_networks_of_0_1_were_trained_on(case, spacing):
    """They read the images through MONAI's `Spacing`."""
    settings = settings_of(resampling="trilinear", crop="none", intensity="ct", window=(0, 70))
    prepared = prepare_image(case[0], settings, spacing)
    turned = prepared.turn.apply(np.asanyarray(nib.load(case[0]).dataobj))[None] / np.float32(70)
    volume = MetaTensor(torch.from_numpy(turned.copy()), torch.from_numpy(prepared.oriented.affine))
    expected = Spacing(spacing, mode="bilinear", dtype=np.float32)(volume)
    np.testing.assert_allclose(prepared.image, expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(prepared.grid.affine, expected.affine.numpy(), atol=1e-5)


def test_a_prepared_image_has_the_orientation_and_spacing_asked_for(case):
    prepared = prepare_image(case[0], settings_of(orientation="LPI"), (1.5, 2.0, 1.0))
    assert nib.aff2axcodes(prepared.grid.affine) == ("L", "P", "I")
    sizes = np.linalg.norm(prepared.grid.affine[:3, :3], axis=0)
    np.testing.assert_allclose(sizes, (1.5, 2.0, 1.0), atol=1e-5)


def test_the_saved_segmentation_lies_on_the_image(case, tmp_path):
    labels = there_and_back(case, settings_of(), (1.0, 1.0, 1.0))
    save_segmentation(labels, case[0], tmp_path / "out" / "s.nii.gz")
    saved, image = nib.load(tmp_path / "out" / "s.nii.gz"), nib.load(case[0])
    assert saved.shape == image.shape
    assert saved.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(saved.affine, image.affine)
    np.testing.assert_array_equal(np.asanyarray(saved.dataobj), labels)


def test_a_voxel_keeps_its_place_in_the_body(tmp_path):
    """A bright voxel is found at the same millimetres after orienting, cropping and resampling."""
    values = np.zeros(SHAPE, np.float32)
    values[2:24, 2:30, 2:18] = 1
    values[20, 6, 11] = 100
    write_nifti(tmp_path / "i.nii.gz", values, SWAPPED)
    plain = settings_of(intensity="zscore")
    prepared = prepare_image(tmp_path / "i.nii.gz", plain, (0.5, 0.5, 0.5))
    peak = np.unravel_index(prepared.image[0].argmax(), prepared.image.shape[1:])
    found = prepared.grid.affine @ [*peak, 1]
    np.testing.assert_allclose(found, SWAPPED @ [20, 6, 11, 1], atol=0.51)


def test_the_crop_removes_the_empty_border_only(tmp_path):
    values = np.zeros(SHAPE, np.float32)
    values[5:15, 6:26, 7:17] = 100
    write_nifti(tmp_path / "i.nii.gz", values)
    prepared = prepare_image(tmp_path / "i.nii.gz", settings_of(), None)
    assert prepared.image.shape == (1, 10, 20, 10)
    assert [side.start for side in prepared.box] == [5, 6, 7]


def test_a_constant_image_is_left_whole(tmp_path):
    write_nifti(tmp_path / "i.nii.gz", np.full(SHAPE, 7, np.int16))
    prepared = prepare_image(tmp_path / "i.nii.gz", settings_of(), None)
    np.testing.assert_array_equal(prepared.image, np.zeros((1, *SHAPE)))


def test_zscore_is_by_channel(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal((5, -900), (1, 300), (*SHAPE, 2)).astype(np.float32)
    write_nifti(tmp_path / "i.nii.gz", values)
    image = prepare_image(tmp_path / "i.nii.gz", settings_of(intensity="zscore"), None).image
    assert image.shape == (2, *SHAPE)
    np.testing.assert_allclose(image.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(image.std(axis=(1, 2, 3)), 1, atol=1e-4)
    np.testing.assert_allclose(image[1], (values[..., 1] + 900) / 300, atol=0.05)


def test_ct_maps_the_window_to_0_and_1(tmp_path):
    values = np.full(SHAPE, 0, np.int16)
    values[0, 0, :5] = (-1000, -100, 50, 200, 3000)
    write_nifti(tmp_path / "i.nii.gz", values)
    window = settings_of(intensity="ct", window=(-100, 200), crop="none")
    image = prepare_image(tmp_path / "i.nii.gz", window, None).image
    np.testing.assert_allclose(image[0, 0, 0, :5], (0, 0, 0.5, 1, 1), atol=1e-6)


def test_spacing_follows_the_axes():
    np.testing.assert_allclose(oriented_spacing(SWAPPED, "RAS"), (1.5, 1.0, 1.2))


def test_logits_of_another_grid_are_refused(case):
    prepared = prepare_image(case[0], settings_of(), None)
    with pytest.raises(ValueError, match="logits are"):
        restore(np.zeros((3, 4, 4, 4), np.float32), prepared, exclusive(3))


@pytest.mark.parametrize("content", [b"text", b""])
def test_a_file_that_is_no_volume_is_named(tmp_path, content):
    (tmp_path / "x.nii.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.nii\.gz cannot be read"):
        prepare_image(tmp_path / "x.nii.gz", settings_of(), None)


@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 6, 1, 2)])
def test_a_file_of_other_axes_is_named(tmp_path, shape):
    file = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(np.ones(shape, np.float32), np.eye(4)), file)
    with pytest.raises(UserError, match=rf"has {len(shape)} axes \(.*\); expected 3, or 4"):
        prepare_image(file, settings_of(spacing="native"), None)


def test_an_image_with_nan_is_refused(tmp_path):
    write_nifti(tmp_path / "x.nii.gz", np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(UserError, match="NaN"):
        prepare_image(tmp_path / "x.nii.gz", settings_of(), None)


def test_an_axis_of_more_voxels_than_16_bits_count(tmp_path):
    values = np.zeros((70_000, 2, 1), np.float32)
    values[40_000:60_000] = np.random.default_rng(0).normal(100, 10, (20_000, 2, 1))
    nib.save(nib.Nifti2Image(values, np.eye(4)), tmp_path / "a.nii")
    prepared = prepare_image(tmp_path / "a.nii", settings_of(), None)
    assert [side.start for side in prepared.box] == [40_000, 0, 0]
    assert prepared.image.shape == (1, 20_000, 2, 1)
