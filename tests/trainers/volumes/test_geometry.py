"""Read, turn, resample, crop and back: the same voxels, for any affine that a file may have."""

import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.trainers.data.volumes import settings_of
from tests.trainers.oracle import exclusive
from trainers.errors import UserError
from trainers.volumes.geometry import check_affine, doubts, read_affine, same_place, voxel_sizes
from trainers.volumes.nifti import open_nifti, save_segmentation
from trainers.volumes.preprocess import prepare_image, prepare_label
from trainers.volumes.restore import restore
from trainers.volumes.settings import Settings

TIES = [0.0, 30.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0]
angles = st.one_of(st.sampled_from(TIES), st.floats(-180, 180))
sizes = st.tuples(*[st.sampled_from([0.4, 1.0, 1.5, 10.0])] * 3)
shapes = st.tuples(*[st.integers(1, 9)] * 3)
ORIENTATIONS = st.sampled_from(["RAS", "LPS", "LPI", "SAR", "PIR"])


@st.composite
def affines(draw):
    """Rotated, mirrored half of the time, of any voxel size and origin."""
    turn = Rotation.from_euler("xyz", draw(st.tuples(angles, angles, angles)), degrees=True)
    mirror = np.diag([draw(st.sampled_from([-1.0, 1.0])), 1.0, 1.0])
    affine = np.eye(4)
    affine[:3, :3] = turn.as_matrix() @ mirror @ np.diag(draw(sizes))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-300, 300)] * 3))
    return affine


def pair(folder: Path, shape, affine, **header) -> tuple[Path, Path]:
    """An image of distinct values, and a label map in which no two neighbours need be alike."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape).astype(np.float32), rng.integers(0, 5, shape, np.uint8)
    files = folder / "image.nii", folder / "label.nii"
    for file, voxels in zip(files, values, strict=True):
        volume = nib.Nifti1Image(voxels, affine)
        for name, value in header.items():
            volume.header[name] = value
        nib.save(volume, file)
    return files


def there_and_back(image: Path, label: Path, chosen: Settings, spacing):
    """The labels that came back, and the image as it was prepared."""
    prepared = prepare_image(image, chosen, spacing)
    seen = prepare_label(label, prepared, 5)
    assert seen.shape == prepared.image.shape[1:]
    logits = np.stack([seen == n for n in range(5)]).astype(np.float32)
    return restore(logits, prepared, exclusive(5)), prepared


@settings(max_examples=300, deadline=None)
@given(shapes, affines(), ORIENTATIONS, st.sampled_from(["none", "foreground"]))
def test_every_voxel_comes_back_to_its_place(shape, affine, orientation, crop):
    with tempfile.TemporaryDirectory() as folder:
        image, label = pair(Path(folder), shape, affine)
        chosen = settings_of(orientation=orientation, spacing="native", crop=crop)
        labels, prepared = there_and_back(image, label, chosen, None)
        truth = np.asarray(nib.load(label).dataobj)
        inside = np.zeros(prepared.oriented.shape, bool)
        inside[prepared.box] = True
        seen = prepared.turn.undo(inside)
        np.testing.assert_array_equal(labels[seen], truth[seen])
        assert not labels[~seen].any()
        assert labels.shape == shape


@settings(max_examples=100, deadline=None)
@given(affines(), st.tuples(*[st.floats(0.3, 1.0)] * 3))
def test_through_any_spacing_a_block_stays_where_it_is(affine, finer):
    """Half of the volume is a class: its border may move by less than a voxel."""
    shape = (8, 10, 12)
    with tempfile.TemporaryDirectory() as folder:
        image, label = pair(Path(folder), shape, affine)
        block = np.zeros(shape, np.uint8)
        block[:4] = 1
        nib.save(nib.Nifti1Image(block, affine), label)
        chosen = settings_of(crop="none")
        native = voxel_sizes(prepare_image(image, chosen, None).oriented.affine)
        spacing = tuple(native * finer)
        labels, _ = there_and_back(image, label, chosen, spacing)
        assert (labels[:3] == 1).all() and (labels[5:] == 0).all()


@settings(max_examples=300, deadline=None)
@given(shapes, affines(), ORIENTATIONS)
def test_a_turned_voxel_lies_where_it_lay(shape, affine, orientation):
    """The turned grid's affine sends each moved voxel to the millimetres it had."""
    with tempfile.TemporaryDirectory() as folder:
        image, _ = pair(Path(folder), shape, affine)
        prepared = prepare_image(image, settings_of(orientation=orientation, crop="none"), None)
        turned = prepared.turn.apply(millimetres(prepared.native))
        np.testing.assert_allclose(turned, millimetres(prepared.oriented), atol=1e-3)


def millimetres(grid) -> np.ndarray:
    """(D, H, W, 3): where each voxel lies."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return index @ grid.affine[:3, :3].T + grid.affine[:3, 3]


@pytest.mark.parametrize(("unit", "factor"), [(1, 1000.0), (2, 1.0), (3, 0.001), (0, 1.0)])
def test_the_headers_unit_counts(tmp_path, unit, factor):
    sizes = np.array([0.5, 0.5, 2.0])
    image, _ = pair(tmp_path, (6, 7, 8), np.diag([*sizes, 1.0]), xyzt_units=unit)
    prepared = prepare_image(image, settings_of(), None)
    np.testing.assert_allclose(voxel_sizes(prepared.native.affine), sizes * factor)


class TestWhichAffineCounts:
    def volume(self, sform=None, qform=None, pixdim=None):
        header = nib.Nifti1Header()
        header.set_data_shape((8, 8, 8))
        header.set_qform(qform, 0 if qform is None else 1)
        header.set_sform(sform, 0 if sform is None else 2)
        if pixdim:
            header["pixdim"][1:4] = pixdim
        volume = nib.Nifti1Image(np.zeros((8, 8, 8), np.float32), None, header)
        return nib.Nifti1Image.from_bytes(volume.to_bytes())

    def test_sform_before_qform_before_the_voxel_sizes(self):
        sform, qform = np.diag([2.0, 2, 2, 1]), np.diag([3.0, 3, 3, 1])
        sizes = [
            voxel_sizes(read_affine(volume))
            for volume in (
                self.volume(sform, qform),
                self.volume(None, qform),
                self.volume(pixdim=(4, 5, 6)),
            )
        ]
        np.testing.assert_allclose(sizes, [[2, 2, 2], [3, 3, 3], [4, 5, 6]])

    def test_qform_can_be_asked_for(self):
        sform, qform = np.diag([2.0, 2, 2, 1]), np.diag([3.0, 3, 3, 1])
        assert voxel_sizes(read_affine(self.volume(sform, qform), "qform"))[0] == pytest.approx(3)
        assert voxel_sizes(read_affine(self.volume(sform), "qform"))[0] == pytest.approx(2)

    def test_pixdim_can_be_asked_for(self):
        affine = read_affine(self.volume(np.eye(4), pixdim=(1.6, 1.6, 10)), "pixdim")
        np.testing.assert_allclose(np.diag(affine), (1.6, 1.6, 10, 1), rtol=1e-6)

    def test_what_disagrees_is_said_with_both(self):
        told = doubts(self.volume(np.eye(4), pixdim=(1.6, 1.6, 10)))
        assert "1 x 1 x 1 by the affine and 1.6 x 1.6 x 10 by pixdim" in told[0]
        sform, qform = np.eye(4), np.diag([-1.0, -1, 1, 1])
        (told,) = doubts(self.volume(sform, qform))
        assert "sform (1 x 1 x 1, RAS) and qform (1 x 1 x 1, LPS)" in told

    def test_an_unnamed_orientation_is_said(self):
        assert "no orientation" in doubts(self.volume(pixdim=(1, 1, 1)))[0]

    def test_what_agrees_is_not_spoken_of(self):
        assert doubts(self.volume(np.diag([2.0, 2, 2, 1]), np.diag([2.0, 2, 2, 1]))) == []


def test_a_prediction_under_another_rule_lies_where_the_image_lies(tmp_path):
    """Whichever answer of the header counts, all of them are in the written file."""
    image, _ = pair(tmp_path, (6, 7, 8), np.eye(4))
    volume = nib.load(image)
    volume.set_qform(np.diag([-2.0, -2.0, 3.0, 1.0]), 1)
    nib.save(volume, tmp_path / "both.nii")
    prepared = prepare_image(tmp_path / "both.nii", settings_of(affine="qform"), None)
    np.testing.assert_allclose(voxel_sizes(prepared.native.affine), (2, 2, 3))
    labels = restore(prepared.image.repeat(2, axis=0), prepared, exclusive(2))
    save_segmentation(labels, tmp_path / "both.nii", tmp_path / "s.nii")
    written, read = open_nifti(tmp_path / "s.nii"), open_nifti(tmp_path / "both.nii")
    for rule in ("sform", "qform"):
        np.testing.assert_array_equal(read_affine(written, rule), read_affine(read, rule))


def test_files_of_one_image_are_at_one_place_by_the_rule_that_counts(tmp_path):
    """A broken sform of one channel is why a person chose the qform."""
    files = tmp_path / "a.nii", tmp_path / "b.nii"
    for file, shift in zip(files, (0.0, 30.0), strict=True):
        volume = nib.Nifti1Image(np.zeros((4, 5, 6), np.float32), np.eye(4))
        volume.set_sform(volume.affine + np.diag([shift], 3), 1)
        volume.set_qform(np.diag([2.0, 2.0, 2.0, 1.0]), 1)
        nib.save(volume, file)
    prepared = prepare_image(files, settings_of(affine="qform"), None)
    assert voxel_sizes(prepared.native.affine) == pytest.approx([2, 2, 2])
    with pytest.raises(UserError, match=r"b\.nii is at another place than a\.nii"):
        prepare_image(files, settings_of(), None)


@pytest.mark.parametrize(
    ("affine", "told"),
    [
        (np.diag([1.0, 1.0, 0.0, 1.0]), "voxels of 1 x 1 x 0 mm"),
        (np.array([[1.0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]), "inverted"),
        (np.diag([1.0, np.nan, 1.0, 1.0]), "not finite"),
        (np.array([[1.0, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "axes 1 and 2"),
    ],
)
def test_affines_that_are_no_grid_are_refused_by_name(affine, told):
    with pytest.raises(UserError, match=told):
        check_affine(affine)


def test_a_flat_affine_in_general_position_is_refused():
    """No two of its axes are parallel, and yet all lie in one plane."""
    with pytest.raises(UserError):
        check_affine(np.array([[1.0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]))


def test_the_rounding_of_a_header_is_no_shear():
    affine = np.diag([1.0, 1, 2.5, 1]) + 1e-3 * np.eye(4, k=1)
    affine[3] = 0, 0, 0, 1
    check_affine(affine)
    assert same_place(affine, affine, (9, 9, 9))


def test_more_memory_than_there_is_is_refused_before_it_is_taken(tmp_path, monkeypatch):
    """4 bytes of 8 x 10 x 12 voxels, before and after they are normalised, are 7.7 kB."""
    image, _ = pair(tmp_path, (4, 5, 6), np.diag([2.0, 2.0, 2.0, 1.0]))
    free = psutil.virtual_memory()._replace(available=7_600)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    told = "of 2 x 2 x 2 mm: brought to 1 x 1 x 1 mm it is 8 x 10 x 12 voxels, which take"
    with pytest.raises(UserError, match=rf"image\.nii has voxels {told}"):
        prepare_image(image, settings_of(crop="none"), (1.0, 1.0, 1.0))
