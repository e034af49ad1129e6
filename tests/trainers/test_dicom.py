"""DICOM series and segmentations: geometry, values, and what is refused."""

import sys
import warnings

import nibabel as nib
import numpy as np
import pytest

from tests.trainers import dicom_series
from tests.trainers.dicom_series import (
    COLUMN,
    COLUMN_SPACING,
    NORMAL,
    ORIGIN,
    ROW,
    ROW_SPACING,
    STEP,
    lps_affine,
    pydicom,
    write_series,
)
from tests.trainers.oracle import CLASSES
from trainers.dicom import (
    find_series,
    has_dicom,
    read_series,
    save_as_nifti,
    save_dicom_seg,
)
from trainers.errors import UserError

SHAPE = (6, 10, 8)  # slices, rows, columns


@pytest.fixture
def values():
    """Multiples of the rescale slope, so that nothing is lost in storing them."""
    return np.random.default_rng(1).integers(-500, 500, SHAPE) * 2.0


def only(folder):
    (series,) = find_series(folder)
    return series


def test_a_series_is_read_in_order_with_its_rescaled_values(tmp_path, values):
    write_series(tmp_path / "a", values)
    slices = read_series(only(tmp_path))
    np.testing.assert_array_equal(slices.volume.array, values)
    np.testing.assert_allclose(slices.volume.affine, lps_affine(), atol=1e-5)


def test_a_series_in_several_folders_is_told(tmp_path, values):
    write_series(tmp_path / "a", values)
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "000.dcm").rename(tmp_path / "b" / "000.dcm")
    with pytest.warns(UserWarning, match="a, b are one series in several folders, each taken by"):
        assert [len(series.files) for series in find_series(tmp_path)] == [5, 1]


def test_slope_and_intercept_may_change_from_slice_to_slice(tmp_path, values):
    write_series(tmp_path, values)
    for file in sorted(tmp_path.iterdir())[:3]:
        header = pydicom.dcmread(file)
        header.PixelData = (header.pixel_array // 2).astype(np.uint16).tobytes()
        odd = header.pixel_array % 2
        header.RescaleSlope = 4.0
        header.save_as(file)
        assert odd.any()  # else nothing were tested
    found = read_series(only(tmp_path)).volume.array
    changed = np.abs(found - values).max(axis=(1, 2))
    assert sorted(changed) == [0, 0, 0, 2, 2, 2]  # the odd ones lost a step of two


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_the_nifti_of_a_series_lies_where_the_series_lies(tmp_path, values, modality):
    """A voxel's place by DICOM's own equation, mirrored from left-posterior to right-anterior."""
    write_series(tmp_path / "a", values, modality)
    save_as_nifti(read_series(only(tmp_path / "a")), tmp_path / "a.nii")
    image = nib.load(tmp_path / "a.nii")
    np.testing.assert_array_equal(image.get_fdata(), values)
    k, row, column = 4, 7, 3
    place = ORIGIN + k * STEP * NORMAL + row * ROW_SPACING * COLUMN + column * COLUMN_SPACING * ROW
    found = image.affine @ [k, row, column, 1]
    np.testing.assert_allclose(found[:3], place * [-1, -1, 1], atol=1e-4)


def test_a_dicom_seg_is_the_labels_voxel_by_voxel(tmp_path, values):
    """Read back by highdicom, onto the geometry of the source."""
    import highdicom

    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 2:7, 1:5] = 1
    labels[3:5, 5:9, 4:8] = 2
    write_series(tmp_path / "a", values)
    slices = read_series(only(tmp_path / "a"))
    save_dicom_seg(labels, slices, CLASSES, tmp_path / "seg.dcm")

    found = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert [each.SegmentLabel for each in found.SegmentSequence] == ["liver", "kidney"]
    assert {each.SegmentAlgorithmType for each in found.SegmentSequence} == {"AUTOMATIC"}
    source = slices.headers[0]
    assert found.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert found.StudyInstanceUID == source.StudyInstanceUID
    assert found.PatientID == "p1"
    assert {uid for _, _, uid in found.get_source_image_uids()} <= {
        header.SOPInstanceUID for header in slices.headers
    }
    volume = found.get_volume(combine_segments=True)
    assert volume.shape[0] == 4  # of slices 1 to 4: empty frames are left out
    volume = volume.match_geometry(slices.volume.get_geometry())
    np.testing.assert_array_equal(volume.array, labels)


def test_each_frame_of_a_dicom_seg_lies_where_its_slice_lies(tmp_path, values):
    """Without highdicom: the position and the bits of every frame, as they are in the file."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[2, 1, 6], labels[5, 9, 0] = 1, 2
    write_series(tmp_path / "a", values)
    save_dicom_seg(labels, read_series(only(tmp_path / "a")), CLASSES, tmp_path / "seg.dcm")

    found = pydicom.dcmread(tmp_path / "seg.dcm")
    shared = found.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    np.testing.assert_allclose([float(x) for x in orientation], [*ROW, *COLUMN])
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    assert [float(x) for x in spacing] == [ROW_SPACING, COLUMN_SPACING]
    marked = {}
    for group, frame in zip(found.PerFrameFunctionalGroupsSequence, found.pixel_array, strict=True):
        segment = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        place = [float(x) for x in group.PlanePositionSequence[0].ImagePositionPatient]
        marked[segment] = (place, np.argwhere(frame).tolist())
    assert marked.keys() == {1, 2}
    np.testing.assert_allclose(marked[1][0], ORIGIN + 2 * STEP * NORMAL, atol=1e-5)
    np.testing.assert_allclose(marked[2][0], ORIGIN + 5 * STEP * NORMAL, atol=1e-5)
    assert (marked[1][1], marked[2][1]) == ([[1, 6]], [[9, 0]])


def test_a_segmentation_without_any_voxel_is_a_dicom_seg_all_the_same(tmp_path, values):
    import highdicom

    write_series(tmp_path / "a", values)
    empty = np.zeros(SHAPE, np.uint8)
    slices = read_series(only(tmp_path / "a"))
    save_dicom_seg(empty, slices, CLASSES, tmp_path / "seg.dcm")
    volume = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    assert volume.shape == SHAPE
    assert not volume.array.any()


def test_series_are_told_apart_by_folder_and_uid(tmp_path, values):
    first = write_series(tmp_path / "p" / "ct", values, prefix="a")
    second = write_series(tmp_path / "p" / "ct", values, prefix="b")
    write_series(tmp_path / "q", values, "MR")
    found = {series.name: len(series.files) for series in find_series(tmp_path)}
    assert found == {f"p_ct_{first}": 6, f"p_ct_{second}": 6, "q": 6}


def test_names_that_would_be_the_same_are_not(tmp_path, values):
    write_series(tmp_path / "a" / "b", values)
    write_series(tmp_path / "a_b", values)
    write_series(tmp_path / "a_b_2", values)
    assert [series.name for series in find_series(tmp_path)] == ["a_b", "a_b_2", "a_b_2_2"]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_cannot_lead_out_of_the_folder(tmp_path, values):
    write_series(tmp_path, values, prefix="a")
    write_series(tmp_path, values, prefix="b", SeriesInstanceUID="../../evil/1.2")
    for series in find_series(tmp_path):
        assert "/" not in series.name
        assert (tmp_path / series.name).resolve().parent == tmp_path.resolve()


def test_files_without_an_ending_are_found_by_their_preamble(tmp_path, values):
    write_series(tmp_path / "a", values)
    for file in list((tmp_path / "a").iterdir()):
        file.rename(file.with_suffix(""))
    (tmp_path / "a" / "notes.txt").write_text("no DICOM")
    assert has_dicom(tmp_path)
    assert len(only(tmp_path).files) == 6


def test_other_modalities_are_left_out_and_told(tmp_path, values):
    write_series(tmp_path / "a", values)
    slices = read_series(only(tmp_path / "a"))
    labels = np.ones(SHAPE, np.uint8)
    save_dicom_seg(labels, slices, CLASSES, tmp_path / "a" / "old.dcm")
    with pytest.warns(UserWarning, match="ignored DICOM of modality SEG"):
        assert len(only(tmp_path / "a").files) == 6


@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber", "StudyDate"])
def test_attributes_that_anonymisers_drop_are_not_needed(tmp_path, values, keyword):
    write_series(tmp_path / "a", values)
    for file in (tmp_path / "a").iterdir():
        header = pydicom.dcmread(file)
        if keyword in header:
            del header[keyword]
        header.save_as(file)
    slices = read_series(only(tmp_path / "a"))
    save_dicom_seg(np.ones(SHAPE, np.uint8), slices, CLASSES, tmp_path / "seg.dcm")
    assert not pydicom.dcmread(tmp_path / "seg.dcm").get(keyword)


# What is refused


def refusal(folder):
    with pytest.raises(UserError) as error:
        read_series(only(folder))
    return str(error.value)


def test_a_missing_slice_is_told_with_its_place(tmp_path, values):
    write_series(tmp_path, values, keep=(0, 1, 2, 4, 5))
    at = ORIGIN @ np.cross(ROW, COLUMN) - 4 * STEP
    assert f"5.00 mm apart between {at:.2f} and {at + 5:.2f} mm" in refusal(tmp_path)


def test_slices_at_one_place_are_refused(tmp_path, values):
    uid = write_series(tmp_path, values, prefix="a")
    frame = pydicom.dcmread(tmp_path / "a000.dcm").FrameOfReferenceUID
    write_series(
        tmp_path, values, keep=(3,), prefix="b", SeriesInstanceUID=uid, FrameOfReferenceUID=frame
    )
    assert "two slices at" in refusal(tmp_path)


def test_slices_of_micro_ct_are_not_at_one_place(tmp_path, values, monkeypatch):
    monkeypatch.setattr(dicom_series, "STEP", 0.008)  # mm
    write_series(tmp_path, values)
    slices = read_series(only(tmp_path))
    np.testing.assert_array_equal(slices.volume.array, values)
    assert slices.volume.spacing[0] == pytest.approx(0.008, rel=1e-3)


def test_tilted_slices_are_refused(tmp_path, values):
    write_series(tmp_path, values)
    for file in tmp_path.iterdir():
        header = pydicom.dcmread(file)
        position = np.array(header.ImagePositionPatient, float)
        along = (position - ORIGIN) @ NORMAL
        header.ImagePositionPatient = list(np.round(position + 0.2 * along * COLUMN, 6))
        header.save_as(file)
    assert "gantry tilt" in refusal(tmp_path)


def test_slices_of_two_directions_are_refused(tmp_path, values):
    uid = write_series(tmp_path, values, keep=(0, 1, 2), prefix="a")
    frame = pydicom.dcmread(next(tmp_path.iterdir())).FrameOfReferenceUID
    turned = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "SeriesInstanceUID": uid}
    write_series(tmp_path, values, keep=(3, 4), prefix="b", FrameOfReferenceUID=frame, **turned)
    assert "different directions" in refusal(tmp_path)


def test_slices_of_two_sizes_are_refused(tmp_path, values):
    write_series(tmp_path, values)
    file = sorted(tmp_path.iterdir())[0]
    header = pydicom.dcmread(file)
    header.PixelSpacing = [1.0, 1.0]
    header.save_as(file)
    assert "different PixelSpacing" in refusal(tmp_path)


def test_a_single_slice_is_no_volume(tmp_path, values):
    write_series(tmp_path, values[:1])
    assert "single slice" in refusal(tmp_path)


def test_several_frames_in_a_file_are_refused(tmp_path, values):
    write_series(tmp_path, values, NumberOfFrames=2)
    assert "several frames" in refusal(tmp_path)


def test_a_slice_without_a_position_is_refused_by_name(tmp_path, values):
    write_series(tmp_path, values)
    file = sorted(tmp_path.iterdir())[2]
    header = pydicom.dcmread(file)
    del header.ImagePositionPatient
    header.save_as(file)
    assert "002.dcm has no ImagePositionPatient" in refusal(tmp_path)


def test_a_damaged_slice_is_refused_by_name(tmp_path, values):
    """It may be any slice of the series, so the series is not used without it."""
    write_series(tmp_path, values)
    (tmp_path / "004.dcm").write_bytes(b"nothing")
    assert "004.dcm cannot be read" in refusal(tmp_path)


def test_truncated_pixels_are_refused(tmp_path, values):
    write_series(tmp_path, values)
    file = tmp_path / "004.dcm"
    file.write_bytes(file.read_bytes()[:-40])
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("package", ["pydicom", "highdicom"])
def test_missing_packages_are_told_with_what_to_install(tmp_path, values, monkeypatch, package):
    write_series(tmp_path, values)
    monkeypatch.setitem(sys.modules, package, None)  # importing it raises ImportError
    with pytest.raises(UserError, match=rf"{package}.*pip install 'segnas\[dicom\]'"):
        find_series(tmp_path)


def test_a_name_that_an_anonymiser_wrote_is_no_doubt(tmp_path, values):
    write_series(tmp_path / "a", values, PatientName="Anonymous")
    slices = read_series(only(tmp_path / "a"))
    labels = (slices.volume.array > 0).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_dicom_seg(labels, slices, CLASSES, tmp_path / "seg.dcm")
    assert str(pydicom.dcmread(tmp_path / "seg.dcm").PatientName) == "Anonymous"
