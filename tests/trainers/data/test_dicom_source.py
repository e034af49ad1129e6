"""DICOM series with SEG and RTSTRUCT labels as a source of data."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.trainers.dicom_series import NORMAL, STEP, lps_affine, pydicom, write_series
from tests.trainers.oracle import CLASSES
from tests.trainers.oracle import segmenter as oracle
from trainers.data.build_cache import build_cache
from trainers.data.check import check_dataset
from trainers.data.config import Preprocess, Split
from trainers.data.dicom_source import DicomData
from trainers.data.folder_source import source_of
from trainers.data.source_split import split_source
from trainers.data.testing import DataSourceContract
from trainers.dicom import find_series, read_series, save_dicom_seg
from trainers.errors import UserError
from trainers.evaluate import evaluate_folder

SHAPE = (6, 10, 8)  # slices, rows, columns
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def labels_of(seed=0) -> np.ndarray:
    """Two boxes, of which the second is drawn over the first."""
    first, last = 1 + seed % 2, 5 - seed % 2
    labels = np.zeros(SHAPE, np.uint8)
    labels[first:4, 2:7, 1:5] = 1
    labels[3:last, 5:9, 4:8] = 2
    return labels


def write_case(folder: Path, seed: int = 0, patient: str = "p1", **changes: object) -> np.ndarray:
    """A series whose values tell its labels, in the folder's `ct`; returns the labels."""
    labels = labels_of(seed)
    values = labels * 100.0
    write_series(folder / "ct", values, PatientID=patient, **changes)
    return labels


def write_seg(folder: Path, labels: np.ndarray, names=CLASSES) -> Path:
    """A DICOM SEG of the series in `ct`, in a folder of its own."""
    (series,) = find_series(folder / "ct")
    (folder / "seg").mkdir(exist_ok=True)
    save_dicom_seg(labels, read_series(series), names, folder / "seg" / "seg.dcm")
    return folder / "seg" / "seg.dcm"


def write_rtstruct(
    folder: Path, regions: dict[str, list[np.ndarray]], kind: str = "CLOSED_PLANAR"
) -> Path:
    """Contours by name, each (points, 3) of (slice, row, column), in patient millimetres.

    kind: the geometric type of those that are no point.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

    first = pydicom.dcmread(next((folder / "ct").iterdir()), stop_before_pixels=True)
    plan = Dataset()
    plan.file_meta = FileMetaDataset()
    plan.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plan.SOPClassUID = plan.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    plan.SOPInstanceUID = plan.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    plan.Modality, plan.PatientID = "RTSTRUCT", first.PatientID
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.RTReferencedStudySequence = [study]
    plan.ReferencedFrameOfReferenceSequence = [frame]
    plan.StructureSetROISequence, plan.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(regions.items(), start=1):
        region, drawn = Dataset(), Dataset()
        region.ROINumber, region.ROIName, drawn.ReferencedROINumber = number, name, number
        drawn.ContourSequence = [_contour(points, kind) for points in contours]
        plan.StructureSetROISequence.append(region)
        plan.ROIContourSequence.append(drawn)
    (folder / "rt").mkdir(exist_ok=True)
    plan.save_as(folder / "rt" / "plan.dcm", enforce_file_format=True)
    return folder / "rt" / "plan.dcm"


def _contour(points, kind):
    from pydicom.dataset import Dataset

    contour = Dataset()
    contour.ContourGeometricType = kind if len(points) > 1 else "POINT"
    places = lps_affine() @ np.column_stack([points, np.ones(len(points))]).T
    contour.ContourData = [f"{x:.5f}" for x in places[:3].T.ravel()]
    return contour


def box(slice_, rows, columns):
    """Corners half a pixel outside the first and last middles, in order."""
    (top, bottom), (left, right) = rows, columns
    corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
    return np.array([(slice_, row, column) for row, column in corners], float)


def opened(folder, workdir, **keys):
    return DicomData(path=folder, **keys).open(workdir)


def label_of(dataset, number=0):
    return np.asarray(nib.load(dataset.cases[number].label).dataobj)


class TestDicomData(DataSourceContract):
    def make(self, folder):
        for name, seed in (("b", 0), ("a", 1)):
            write_seg(folder / name, write_case(folder / name, seed))
        return DicomData(path=folder)

    def test_a_missing_file_is_a_case_that_the_check_names(self, config):
        """A series without its segmentation is no case: most studies have such series."""
        before = config.open(Path("work")).cases
        (config.path / "a" / "seg" / "seg.dcm").unlink()
        assert [case.name for case in config.open(Path("work")).cases] == [before[1].name]

    @pytest.mark.parametrize("part", ["image", "label"])
    def test_another_file_has_another_fingerprint(self, config, part):
        before = config.open(Path("work")).fingerprint(Preprocess())
        folder = config.path / "a" / {"image": "ct", "label": "seg"}[part]
        file = next(folder.iterdir())
        file.write_bytes(file.read_bytes() + b" ")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("trainers.data.dicom_source.partial", lambda *_: lambda folder: 1 / 0)
            with pytest.raises(ZeroDivisionError):  # it is made again
                config.open(Path("work"))
        assert before


def test_a_segmentation_lies_where_its_series_lies(tmp_path):
    labels = write_case(tmp_path / "a")
    write_seg(tmp_path / "a", labels)
    dataset = opened(tmp_path, tmp_path / "work")
    assert (dataset.modalities, dataset.classes) == (("CT",), ("background", "liver", "kidney"))
    image, label = (nib.load(getattr(dataset.cases[0], part)) for part in ("image", "label"))
    np.testing.assert_array_equal(np.asarray(label.dataobj), labels)
    np.testing.assert_array_equal(image.get_fdata(), labels * 100.0)
    for one in (image, label):
        np.testing.assert_allclose(one.affine, LPS @ lps_affine(), atol=1e-4)
    check_dataset(dataset)


SPACINGS = {"none": None, "right": STEP, "of the thickness": 5.0, "of something else": 1.1}


@pytest.mark.parametrize("told", SPACINGS.values(), ids=SPACINGS)
@pytest.mark.parametrize("drawn", [(2,), (5,), (1, 4), (1, 3, 4)], ids=str)
def test_frames_lie_at_their_positions_whatever_spacing_is_told(tmp_path, drawn, told):
    """Also of a single slice, and of slices with others between them that have no frame."""
    labels = write_case(tmp_path / "a")
    labels[:] = 0
    labels[drawn, 2:7, 1:5] = 1
    change_seg(write_seg(tmp_path / "a", labels, ("", "liver")), told)
    np.testing.assert_array_equal(label_of(opened(tmp_path, tmp_path / "work")), labels)


def change_seg(file: Path, told: float | None, thickness: float = 5.0) -> None:
    """The distance of slices that a SEG tells, mm, beside its frames' positions."""
    header = pydicom.dcmread(file)
    (measures,) = header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    measures.SliceThickness = thickness
    if told is not None:
        measures.SpacingBetweenSlices = told
    elif "SpacingBetweenSlices" in measures:
        del measures.SpacingBetweenSlices
    header.save_as(file)


def test_volumes_are_made_once_for_a_search_and_its_exports(tmp_path):
    """Whose cache is that of the search; and made again they are the same."""
    write_seg(tmp_path / "a", write_case(tmp_path / "a"))
    search, export = tmp_path / "search", tmp_path / "export"
    first = opened(tmp_path / "a", search)
    (made,) = (search / "cache" / "dicom").iterdir()
    again = opened(tmp_path / "a", export, cache=search / "cache")
    assert again.cases == first.cases and not export.exists()
    shutil.rmtree(made)
    anew = opened(tmp_path / "a", search)
    assert anew.fingerprint(Preprocess()) == first.fingerprint(Preprocess())
    (search / "dicom").mkdir()
    old = made.rename(search / "dicom" / made.name)  # where they were before
    for workdir, keys in ((search, {}), (export, {"cache": search / "cache"})):
        assert old in opened(tmp_path / "a", workdir, **keys).cases[0].image.parents


def test_a_series_in_several_folders_is_one_case(tmp_path):
    """One of its files lies in both of them."""
    labels = write_case(tmp_path / "a")
    write_seg(tmp_path / "a", labels)
    (tmp_path / "a" / "rest").mkdir()
    for number in range(3):
        file = tmp_path / "a" / "ct" / f"{number:03}.dcm"
        copy = tmp_path / "a" / "rest" / file.name
        copy.write_bytes(file.read_bytes())
        if number:
            file.unlink()
    dataset = opened(tmp_path, tmp_path / "work", classes=CLASSES)
    assert [case.name for case in dataset.cases] == ["a_ct"]
    np.testing.assert_array_equal(label_of(dataset), labels)


def test_classes_are_found_by_their_names(tmp_path):
    """Whatever the case; what is not named is background."""
    write_seg(tmp_path / "a", labels := write_case(tmp_path / "a"))
    dataset = opened(tmp_path, tmp_path / "work", classes=("background", "Kidney"))
    np.testing.assert_array_equal(label_of(dataset), labels == 2)


def test_the_background_comes_first_in_upper_or_lower_case(tmp_path):
    write_seg(tmp_path / "a", labels := write_case(tmp_path / "a"))
    dataset = opened(tmp_path, tmp_path / "work", classes=("Background", "Liver", "Kidney"))
    assert dataset.classes == ("Background", "Liver", "Kidney")
    np.testing.assert_array_equal(label_of(dataset), labels)
    with pytest.raises(UserError, match="begins with liver; expected the background first"):
        opened(tmp_path, tmp_path / "work", classes=("liver", "kidney"))


def test_segments_and_regions_of_one_name_are_one_class(tmp_path):
    """As every lesion of a patient may be a segment called lesion."""
    write_seg(tmp_path / "a", labels := write_case(tmp_path / "a"), ("", "lesion", "lesion"))
    dataset = opened(tmp_path, tmp_path / "work")
    assert dataset.classes == ("background", "lesion")
    np.testing.assert_array_equal(label_of(dataset), labels > 0)

    write_case(tmp_path / "b")
    one, other = (box(slice_, (1.5, 6.5), (0.5, 4.5)) for slice_ in (2, 4))
    write_rtstruct(tmp_path / "b", {"lesion": [one], "lesion ": [other]})  # blanks do not count
    contoured = label_of(opened(tmp_path / "b", tmp_path / "work"))
    assert np.flatnonzero(contoured.any((1, 2))).tolist() == [2, 4]


def test_what_lies_in_something_larger_is_kept_whatever_they_are_called(tmp_path):
    """By the alphabet the body's outline would take all before it, and the target its tumour."""
    write_case(tmp_path / "a")
    body, target, tumour = (box(2, (0.5, 0.5 + size), (0.5, 0.5 + size)) for size in (6, 4, 2))
    write_rtstruct(tmp_path / "a", {"GTV": [tumour], "External": [body], "PTV": [target]})
    dataset = opened(tmp_path, tmp_path / "work")
    assert dataset.classes == ("background", "External", "PTV", "GTV")
    assert np.bincount(label_of(dataset).ravel())[1:].tolist() == [36 - 16, 16 - 4, 4]


def test_folders_that_are_links_are_read_once(tmp_path):
    write_seg(tmp_path / "archive", write_case(tmp_path / "archive"))
    (tmp_path / "cohort").mkdir()
    for name in ("one", "two"):
        (tmp_path / "cohort" / name).symlink_to(tmp_path / "archive")
    (tmp_path / "archive" / "round").symlink_to(tmp_path / "cohort")
    (tmp_path / "cohort" / "above").symlink_to(tmp_path)
    assert len(find_series(tmp_path / "cohort")) == 1
    assert len(opened(tmp_path / "cohort", tmp_path / "work").cases) == 1
    (tmp_path / "archive" / "a link").symlink_to(tmp_path / "archive" / "ct")
    assert [series.files[0].parent.name for series in find_series(tmp_path / "archive")] == ["ct"]


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_contours_hold_the_voxels_whose_middles_they_hold(tmp_path, kind):
    write_case(tmp_path / "a")
    whole = box(2, (1.5, 6.5), (0.5, 4.5))
    hole = box(2, (2.5, 4.5), (1.5, 3.5))
    triangle = np.array([(4, 0.4, -0.2), (4, 0.4, 5.3), (4, 5.9, -0.2)])
    write_rtstruct(
        tmp_path / "a", {"liver": [whole, hole], "kidney": [triangle, [(0, 1, 1)]]}, kind
    )
    dataset = opened(tmp_path, tmp_path / "work", classes=CLASSES)
    expected = np.zeros(SHAPE, np.uint8)
    expected[2, 2:7, 1:5] = 1
    expected[2, 3:5, 2:4] = 0
    for row, column in np.ndindex(SHAPE[1:]):  # below the line from (0.4, 5.3) to (5.9, -0.2)
        if row >= 0.4 and row + column < 5.7:
            expected[4, row, column] = 2
    np.testing.assert_array_equal(label_of(dataset), expected)


def test_the_same_boxes_as_segmentation_and_as_contours_give_the_same_cache(tmp_path):
    for name in ("seg", "rt"):
        labels = write_case(tmp_path / name / "a")
        if name == "seg":
            write_seg(tmp_path / name / "a", labels)
            continue
        regions = {class_name: [] for class_name in CLASSES[1:]}
        for number, class_name in enumerate(CLASSES[1:], start=1):
            for place in np.flatnonzero((labels == number).any(axis=(1, 2))):
                # The box that was drawn first lies under the second one.
                full = {1: ((1.5, 6.5), (0.5, 4.5)), 2: ((4.5, 8.5), (3.5, 7.5))}[number]
                regions[class_name].append(box(place, *full))
        write_rtstruct(tmp_path / name / "a", regions)
    preprocess = Preprocess(spacing=(1.5, 1.5, 1.5))
    one, other = (
        build_cache(
            opened(tmp_path / name, tmp_path / "work", classes=CLASSES), preprocess, tmp_path / name
        )
        for name in ("seg", "rt")
    )
    assert one.names == other.names
    for name in one.names:
        np.testing.assert_array_equal(one.image(name), other.image(name))
        np.testing.assert_array_equal(one.label(name), other.label(name))


def test_cases_of_a_patient_stay_together(tmp_path):
    for number in range(6):
        patient = f"patient{number // 2}"
        write_seg(tmp_path / f"{number}", write_case(tmp_path / f"{number}", patient=patient))
    cases = split_source(opened(tmp_path, tmp_path / "work"), Split(validation=0.34))
    assert cases.validation in (("0_ct", "1_ct"), ("2_ct", "3_ct"), ("4_ct", "5_ct"))


def test_a_folder_of_dicom_is_recognised(tmp_path):
    write_seg(tmp_path / "data" / "a", write_case(tmp_path / "data" / "a"))
    assert source_of(tmp_path / "data", tmp_path / "work") == DicomData(path=tmp_path / "data")


def test_what_was_written_is_not_written_again(tmp_path):
    write_seg(tmp_path / "data" / "a", write_case(tmp_path / "data" / "a"))
    first = opened(tmp_path / "data", tmp_path / "work").cases[0].image
    time = first.stat().st_mtime_ns
    assert opened(tmp_path / "data", tmp_path / "work").cases[0].image == first
    assert first.stat().st_mtime_ns == time


def test_a_network_is_evaluated_on_dicom(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        write_seg(tmp_path / name, write_case(tmp_path / name, seed))
    done = evaluate_folder(oracle(), tmp_path, tmp_path)
    assert list(done.cases) == ["a_ct", "b_ct"]
    assert done.dice == 1.0


# What is wrong with it


def refused(folder) -> str:
    with pytest.raises(UserError) as error:
        opened(folder, folder.parent / "work")
    return str(error.value)


def test_series_without_labels_are_refused(tmp_path):
    write_case(tmp_path / "data" / "a")
    assert "data has no DICOM SEG and no RTSTRUCT" in refused(tmp_path / "data")
    (tmp_path / "empty").mkdir()
    assert "empty has no DICOM file; set data.path" in refused(tmp_path / "empty")


def test_labels_of_a_series_that_is_not_there_are_named(tmp_path):
    file = write_seg(tmp_path / "a", write_case(tmp_path / "a"))
    file.rename(tmp_path / "seg.dcm")
    (tmp_path / "data").mkdir()
    (tmp_path / "seg.dcm").rename(tmp_path / "data" / "seg.dcm")
    assert "data/seg.dcm: the series that it is of is not below" in refused(tmp_path / "data")


def broken_cases(folder: Path) -> None:
    """Of five cases one is whole: a has two damaged slices, b lacks one, c has two at one place in
    the way of several echoes, and the segmentation of d is cut off."""
    for name in "abcde":
        write_seg(folder / name, write_case(folder / name))
    for number in (1, 3):
        (folder / "a" / "ct" / f"00{number}.dcm").write_bytes(b"no DICOM")
    (folder / "b" / "ct" / "000.dcm").unlink()
    first, second = (folder / "c" / "ct" / f"00{number}.dcm" for number in (1, 2))
    header, other = pydicom.dcmread(first), pydicom.dcmread(second)
    header.ImagePositionPatient = other.ImagePositionPatient
    header.save_as(first)
    seg = folder / "d" / "seg" / "seg.dcm"
    seg.write_bytes(seg.read_bytes()[:-1500])


@pytest.mark.parametrize("classes", [None, CLASSES], ids=["all", "named"])
def test_all_cases_that_cannot_be_used_are_told_at_once(tmp_path, classes):
    broken_cases(data := tmp_path / "data")
    with pytest.raises(UserError) as error:
        opened(data, tmp_path / "work", classes=classes)
    first, *cases, last = str(error.value).splitlines()
    assert first == f"{data}: 4 of 5 cases cannot be used"
    assert [case.split()[0] for case in cases] == ["a_ct", "b_ct", "c_ct", "d_ct"]
    whole, slices, echoes, seg = cases
    assert "a/ct/001.dcm cannot be read; expected a DICOM file" in whole
    assert slices.startswith("  b_ct  has slices 5.00 mm apart between")
    assert echoes.startswith("  c_ct  has two slices at")
    assert "d/seg/seg.dcm" in seg
    assert last == (
        "Mend or add these files, or remove the cases: their SEG or RTSTRUCT files, and files that "
        "cannot be read."
    )
    assert not any((tmp_path / "work").rglob("*.nii.gz"))


def test_cases_without_their_segmentations_are_left_out(tmp_path):
    """As the message says; what can be read of their series stays where it is."""
    broken_cases(tmp_path / "data")
    for name in "abcd":
        (tmp_path / "data" / name / "seg" / "seg.dcm").unlink()
    for number in (1, 3):
        (tmp_path / "data" / "a" / "ct" / f"00{number}.dcm").unlink()
    assert [case.name for case in opened(tmp_path / "data", tmp_path / "work").cases] == ["e_ct"]


def test_a_damaged_file_of_no_case_is_told_with_the_cases(tmp_path):
    """It may be the segmentation of one."""
    for name in "ab":
        write_seg(tmp_path / "data" / name, write_case(tmp_path / "data" / name))
    (tmp_path / "data" / "a" / "ct" / "001.dcm").write_bytes(b"no DICOM")
    (tmp_path / "data" / "b" / "seg" / "seg.dcm").write_bytes(b"no DICOM")
    told = refused(tmp_path / "data")
    assert "data: 1 of 1 cases cannot be used\n" in told
    for name in ("a/ct/001.dcm", "b/seg/seg.dcm"):
        assert f"data/{name} cannot be read; expected a DICOM file" in told


def test_series_of_several_modalities_are_refused(tmp_path):
    for name, modality in (("a", "CT"), ("b", "MR")):
        labels = write_case(tmp_path / "data" / name, modality=modality)
        write_seg(tmp_path / "data" / name, labels)
    assert "data has series of CT, MR; expected one kind" in refused(tmp_path / "data")


def test_contours_between_slices_are_refused(tmp_path):
    write_case(tmp_path / "data")
    write_rtstruct(tmp_path / "data", {"liver": [box(9, (1.5, 6.5), (0.5, 4.5))]})
    assert "plan.dcm: a contour of liver lies in no slice of its series" in refused(
        tmp_path / "data"
    )


def test_contours_around_no_area_are_refused_unless_they_are_of_no_class(tmp_path):
    write_case(tmp_path / "data")
    write_rtstruct(
        tmp_path / "data", {"liver": [box(2, (1.5, 6.5), (0.5, 4.5))], "tip": [[(2, 1, 1)]]}
    )
    told = refused(tmp_path / "data")
    assert "plan.dcm: the contours of tip are POINT; expected CLOSED_PLANAR or" in told
    found = opened(tmp_path / "data", tmp_path / "work", classes=("background", "liver"))
    assert label_of(found).sum() == 20


def test_a_segmentation_on_another_grid_is_refused(tmp_path):
    labels = write_case(tmp_path / "data")
    file = write_seg(tmp_path / "data", labels)
    header = pydicom.dcmread(file)
    shared = header.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence[0].PixelSpacing = [1.0, 1.0]
    header.save_as(file)
    assert "cannot be brought to the grid of its series" in refused(tmp_path / "data")


@pytest.mark.parametrize("drawn", [(2,), (2, 3)], ids=str)
def test_frames_between_slices_are_refused(tmp_path, drawn):
    labels = write_case(tmp_path / "data")
    labels[[n for n in range(len(labels)) if n not in drawn]] = 0
    file = write_seg(tmp_path / "data", labels)
    header = pydicom.dcmread(file)
    for group in header.PerFrameFunctionalGroupsSequence:
        place = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        moved = place + 0.4 * STEP * NORMAL
        group.PlanePositionSequence[0].ImagePositionPatient = [f"{x:.5f}" for x in moved]
    header.save_as(file)
    assert "seg.dcm cannot be brought to the grid of its series" in refused(tmp_path / "data")


@pytest.mark.parametrize("keyword", ["PlanePositionSequence", "PlaneOrientationSequence"])
def test_frames_that_do_not_say_where_they_are_are_refused(tmp_path, keyword):
    labels = write_case(tmp_path / "data")
    file = write_seg(tmp_path / "data", labels)
    header = pydicom.dcmread(file)
    shared = header.SharedFunctionalGroupsSequence[0]
    for group in (shared, *header.PerFrameFunctionalGroupsSequence):
        if keyword in group:
            del group[keyword]
    header.save_as(file)
    told = refused(tmp_path / "data")
    assert f"seg.dcm does not say where its frames are; expected {keyword}" in told
