"""NRRD, MetaImage and pictures: voxels, and where they are by SimpleITK's own account."""

import builtins
import itertools
import warnings
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.trainers.data.layouts import write_volume
from tests.trainers.oracle import CROOKED
from trainers.errors import UserError
from trainers.volumes.geometry import doubts, read_affine
from trainers.volumes.nifti import (
    channels,
    load_labels,
    load_volume,
    open_volume,
    read_values,
    save_segmentation,
)

SHAPE = (5, 4, 3)
ITK = ("a.nrrd", "a.mha", "a.mhd", "A.NRRD")


@pytest.fixture
def itk():
    return pytest.importorskip("SimpleITK")


def values(shape=SHAPE, kind=np.int16):
    return np.random.default_rng(0).integers(-5, 100, shape).astype(kind)


def oblique() -> np.ndarray:
    """A rotation about all axes, voxels of three sizes, mirrored."""
    axes, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = axes * [0.5, 1.25, 3.0]
    affine[:3, 3] = [-31.5, 12.25, 100.0]
    return affine


@pytest.mark.parametrize("name", ITK)
@pytest.mark.parametrize("affine", [CROOKED, oblique()], ids=["crooked", "oblique"])
def test_a_voxel_lies_where_simpleitk_says(tmp_path, itk, name, affine):
    """Its millimetres run to the left and back, ours to the right and front."""
    write_volume(tmp_path / name, values(), affine)
    theirs = itk.ReadImage(str(tmp_path / name))
    ours = load_volume(tmp_path / name)
    for index in itertools.product(*map(range, SHAPE)):
        assert ours[0][index] == theirs[index]
        x, y, z = theirs.TransformIndexToPhysicalPoint(index)
        found = np.asarray(ours.affine) @ [*index, 1]
        np.testing.assert_allclose(found[:3], [-x, -y, z], atol=1e-4)


@pytest.mark.parametrize("name", ITK)
def test_it_is_the_nifti_of_the_same_image(tmp_path, itk, name):
    """SimpleITK turns the one into the other."""
    write_volume(tmp_path / name, values(), oblique())
    itk.WriteImage(itk.ReadImage(str(tmp_path / name)), str(tmp_path / "a.nii.gz"))
    ours, nifti = load_volume(tmp_path / name), load_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(ours.numpy(), nifti.numpy())
    np.testing.assert_allclose(np.asarray(ours.affine), np.asarray(nifti.affine), atol=1e-4)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int64, np.float32, np.float64])
def test_numbers_are_those_of_the_file(tmp_path, itk, kind):
    stored = np.abs(values(kind=kind))
    write_volume(tmp_path / "a.nrrd", stored, np.eye(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        volume = open_volume(tmp_path / "a.nrrd")
    assert doubts(volume) == []
    assert read_values(volume).dtype == kind
    np.testing.assert_array_equal(read_values(volume), stored)
    np.testing.assert_array_equal(load_labels(tmp_path / "a.nrrd"), stored)


def test_components_of_a_voxel_are_channels(tmp_path, itk):
    stored = values((*SHAPE, 2))
    write_volume(tmp_path / "a.mha", stored, CROOKED)
    volume = open_volume(tmp_path / "a.mha")
    assert (volume.shape, channels(volume)) == ((*SHAPE, 2), 2)
    np.testing.assert_array_equal(load_volume(tmp_path / "a.mha"), np.moveaxis(stored, -1, 0))


def test_a_fourth_axis_is_channels(tmp_path, itk):
    stored = values((*SHAPE, 2))
    image = itk.GetImageFromArray(np.ascontiguousarray(stored.T), isVector=False)
    itk.WriteImage(image, str(tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(load_volume(tmp_path / "a.nrrd"), np.moveaxis(stored, -1, 0))


def test_a_flat_image_is_one_slice(tmp_path, itk):
    image = itk.GetImageFromArray(values((5, 4)).T.copy())
    image.SetSpacing((0.5, 2.0))
    itk.WriteImage(image, str(tmp_path / "a.mha"))
    volume = open_volume(tmp_path / "a.mha")
    assert volume.shape == (5, 4, 1)
    np.testing.assert_allclose(read_affine(volume), np.diag([-0.5, -2, 999, 1]))
    np.testing.assert_array_equal(load_volume(tmp_path / "a.mha")[0, :, :, 0], values((5, 4)))


def test_channels_of_several_formats_make_one_image(tmp_path, itk):
    write_volume(tmp_path / "a_0000.nii.gz", values(), CROOKED)
    write_volume(tmp_path / "a_0001.mha", values((*SHAPE, 2), np.float32), CROOKED)
    image = tmp_path / "a_0000.nii.gz", tmp_path / "a_0001.mha"
    expected = np.concatenate([values()[None], np.moveaxis(values((*SHAPE, 2)), -1, 0)])
    np.testing.assert_array_equal(load_volume(image), expected)
    volume = open_volume(image)
    np.testing.assert_array_equal(read_values(volume), np.moveaxis(expected, 0, -1))
    assert channels(volume) == 3
    np.testing.assert_array_equal(volume.affine, nib.load(image[0]).affine)


def test_complex_voxels_are_refused(tmp_path, itk):
    itk.WriteImage(itk.Image(SHAPE, itk.sitkComplexFloat32), str(tmp_path / "a.nii"))
    itk.WriteImage(itk.Image(SHAPE, itk.sitkVectorFloat32, 2), str(tmp_path / "a.mha"))
    assert channels(open_volume(tmp_path / "a.mha")) == 2
    with pytest.raises(UserError, match="complex"):
        open_volume(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.png", "a.jpg"])
@pytest.mark.parametrize("content", [b"", b"NRRD0004\ntype: short\n", bytes(1000)])
def test_what_is_none_is_refused_by_its_name(tmp_path, name, content):
    if name.endswith(("nrrd", "mha")):
        pytest.importorskip("SimpleITK")
    (tmp_path / name).write_bytes(content)
    told = f"truncated or no {name[2:].upper()} file" if content else "it is empty"
    with pytest.raises(UserError, match=f"{name} cannot be read: {told}"):
        open_volume(tmp_path / name)
    with pytest.raises(UserError, match=r"b\.png cannot be read: No such file"):
        open_volume(tmp_path / "b.png")


def test_a_file_that_is_cut_off_is_refused_when_it_is_read(tmp_path, itk):
    write_volume(tmp_path / "a.mha", values((50, 40, 30)), np.eye(4))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99), np.uint8)).save(
        tmp_path / "a.png"
    )
    for name in ("a.mha", "a.png"):
        file = tmp_path / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        volume = open_volume(file)
        with pytest.raises(UserError, match=f"{name} cannot be read: truncated or no"):
            read_values(volume)


def test_without_simpleitk_it_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "SimpleITK":
            raise ImportError(name)
        return real(name, *rest)

    (tmp_path / "a.nrrd").touch()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"need SimpleITK.*pip install 'segnas\[itk\]'"):
        open_volume(tmp_path / "a.nrrd")


# Pictures


def test_pictures_have_as_many_pixels_as_the_memory_holds(tmp_path, monkeypatch):
    """Pillow's own limit is that of pictures from the web."""
    Image.fromarray(np.eye(64, dtype=np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert load_volume(tmp_path / "a.png")[0].sum() == 64


def test_pillows_own_limit_stays_that_of_the_process(tmp_path, monkeypatch):
    """It is the user's; also where many threads read pictures at once, and one that is none."""
    Image.fromarray(np.eye(64, dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"none")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(load_volume, [tmp_path / "a.png"] * 200))
    with pytest.raises(UserError):
        load_volume(tmp_path / "b.png")
    with pytest.raises(Image.DecompressionBombError):
        Image.open(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_viewers_turn_it(tmp_path, name, orientation):
    """By its EXIF orientation, as Pillow's own function has it."""
    save_turned(tmp_path / name, orientation)
    with Image.open(tmp_path / name) as picture:
        shown = np.asarray(ImageOps.exif_transpose(picture))
    assert shown.shape == ((4, 6, 3) if orientation < 5 else (6, 4, 3))
    volume = open_volume(tmp_path / name)
    assert volume.shape == (*shown.shape[1::-1], 1, 3)
    np.testing.assert_array_equal(read_values(volume)[:, :, 0], np.swapaxes(shown, 0, 1))
    np.testing.assert_array_equal(load_volume(tmp_path / name)[:, :, :, 0], shown.T)


def save_turned(file, orientation):
    """Six columns and four rows that are to be turned so."""
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, exif=exif)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nothing", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"]
)
def test_a_picture_whose_exif_is_damaged_is_as_it_is_stored(tmp_path, exif):
    pixels = np.zeros((4, 6), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    np.testing.assert_array_equal(load_volume(tmp_path / "a.jpg")[0, :, :, 0], pixels.T)


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_there_is_not_is_none(tmp_path, orientation):
    save_turned(tmp_path / "a.jpg", orientation)
    assert load_volume(tmp_path / "a.jpg").shape == (3, 6, 4, 1)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "A.PNG"])
def test_a_picture_is_one_slice_with_its_colours_as_channels(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5, 3), np.uint8)  # rows, columns
    Image.fromarray(pixels).save(tmp_path / name)
    volume = open_volume(tmp_path / name)
    assert volume.shape == (5, 4, 1, 3)
    image = load_volume(tmp_path / name)
    for row, column in np.ndindex(4, 5):
        np.testing.assert_array_equal(image[:, column, row, 0], pixels[row, column])


def test_a_pixel_lies_where_simpleitk_says(tmp_path, itk):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    theirs, ours = itk.ReadImage(str(tmp_path / "a.png")), load_volume(tmp_path / "a.png")
    for index in np.ndindex(5, 4):
        assert ours[0][(*index, 0)] == theirs[index]
        x, y = theirs.TransformIndexToPhysicalPoint(index)
        found = np.asarray(ours.affine) @ [*index, 0, 1]
        np.testing.assert_allclose(found[:3], [-x, -y, 0])


@pytest.mark.parametrize("mode", ["L", "P", "1", "I;16"])
def test_numbers_of_a_label_picture_stay_as_they_are(tmp_path, mode):
    """Of a palette too, whose colours do not matter."""
    labels = np.array([[0, 1, 2], [2, 0, 1]]) if mode != "1" else np.array([[0, 1, 1], [1, 0, 0]])
    if mode == "P":
        picture = Image.fromarray(labels.astype(np.uint8), "P")
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    else:
        picture = Image.fromarray(labels.astype({"1": bool, "I;16": np.uint16}.get(mode, np.uint8)))
    picture.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as stored:
        assert stored.mode == mode
    np.testing.assert_array_equal(load_labels(tmp_path / "a.png")[:, :, 0], labels.T)


# Written


@pytest.mark.parametrize("name", ITK)
def test_labels_are_written_where_their_image_is(tmp_path, itk, name):
    write_volume(tmp_path / "image" / name, values(), oblique())
    labels = np.abs(values(kind=np.uint16)) % 7
    save_segmentation(labels, like=tmp_path / "image" / name, to=tmp_path / "out" / name.lower())
    image, found = (
        itk.ReadImage(str(tmp_path / part)) for part in (f"image/{name}", f"out/{name.lower()}")
    )
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(found, what)(), getattr(image, what)(), atol=1e-6)
    assert found.GetPixelID() == itk.sitkUInt16
    np.testing.assert_array_equal(itk.GetArrayFromImage(found), labels.T)


def test_labels_of_a_picture_are_a_picture(tmp_path):
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "a.png")
    labels = np.random.default_rng(0).integers(0, 3, (5, 4, 1), np.uint8)
    save_segmentation(labels, like=tmp_path / "a.png", to=tmp_path / "out" / "a.png")
    np.testing.assert_array_equal(load_labels(tmp_path / "out" / "a.png"), labels)


def test_a_nifti_file_of_labels_may_be_written_beside_another_format(tmp_path, itk):
    write_volume(tmp_path / "a.mha", values(), oblique())
    labels = np.ones(SHAPE, np.uint8)
    save_segmentation(labels, like=tmp_path / "a.mha", to=tmp_path / "a.nii.gz")
    np.testing.assert_allclose(nib.load(tmp_path / "a.nii.gz").affine, oblique(), atol=1e-4)
