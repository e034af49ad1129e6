"""Scores of a folder: by class and case, means with intervals, conventions, files."""

import csv
import io
import json

import nibabel as nib
import numpy as np
import pytest

from tests.trainers.oracle import CROOKED, segmenter, write, write_cases
from trainers.errors import UserError
from trainers.evaluate import CaseDice, evaluate_folder


@pytest.fixture
def folder(tmp_path):
    return write_cases(tmp_path)


def test_a_perfect_segmentation_scores_one(folder):
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    assert found.dice == 1
    assert found.dice_per_class == {"liver": 1, "kidney": 1}
    assert found.cases.keys() == {"a", "b"}
    for score in found.scores:
        assert (score.dice, score.iou, score.nsd) == (1, 1, 1)
        assert (score.hd95_mm, score.assd_mm, score.hd_mm) == (0, 0, 0)
        assert (score.sensitivity, score.specificity, score.accuracy) == (1, 1, 1)


def test_files_whose_names_end_in_0000_are_cases_where_labels_are_called_so(folder):
    for name in ("a", "b"):
        for part in ("images", "labels"):
            file = folder / part / f"{name}.nii.gz"
            file.rename(file.with_name(f"{name}_0000.nii.gz"))
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    assert found.cases.keys() == {"a_0000", "b_0000"}
    for name in ("a", "b"):  # as nnU-Net has them
        (folder / "labels" / f"{name}_0000.nii.gz").rename(folder / "labels" / f"{name}.nii.gz")
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    assert found.cases.keys() == {"a", "b"}


def one_sided_folder(folder):
    """Half of a's kidney is called background in the truth, and b has no kidney at all."""
    image = np.zeros((8, 8, 8), np.float32)
    image[:4], image[4:, :4] = 100, 200  # 256 voxels of liver, 128 of kidney
    label = (image / 100).astype(np.uint8)
    label[4:, :2] = 0
    write(folder / "images" / "a.nii.gz", image)
    write(folder / "labels" / "a.nii.gz", label)
    write(folder / "images" / "b.nii.gz", np.where(image == 200, 0, image))
    write(folder / "labels" / "b.nii.gz", np.where(image == 200, 0, image / 100).astype(np.uint8))


def test_dice_of_a_folder_by_hand(folder):
    one_sided_folder(folder)
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    kidney = 2 * 64 / (128 + 64)
    assert found.cases["a"].dice == pytest.approx((1 + kidney) / 2)
    assert found.cases["a"].dice_per_class == pytest.approx({"liver": 1.0, "kidney": kidney})
    assert found.cases["b"] == CaseDice(1.0, {"liver": 1.0, "kidney": None})
    assert found.dice == pytest.approx(((1 + kidney) / 2 + 1) / 2)
    assert found.dice_per_class == pytest.approx({"liver": 1.0, "kidney": kidney})
    assert found.means["kidney"]["dice"].value == pytest.approx(kidney)
    assert found.means["kidney"]["iou"].value == pytest.approx(64 / 128)
    assert found.foreground["dice"].value == pytest.approx(found.dice)


@pytest.mark.parametrize("name", ["dice", "mean", "all classes"])
def test_a_class_is_kept_apart_from_the_means_whatever_it_is_called(folder, name):
    one_sided_folder(folder)
    expected = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    renamed = segmenter(classes=("background", "liver", name))
    found = evaluate_folder(renamed, folder / "images", folder / "labels")
    assert found.cases["a"].dice == expected.cases["a"].dice < 1
    assert found.cases["a"].dice_per_class[name] == expected.cases["a"].dice_per_class["kidney"]
    record = found.to_json()["cases"]["a"]
    assert record == {
        "dice": pytest.approx(expected.cases["a"].dice),
        "dice_per_class": {"liver": 1.0, name: pytest.approx(2 / 3)},
    }


def test_a_network_with_two_classes_of_one_name_is_refused(folder):
    twins = segmenter(classes=("background", "liver", "liver"))
    with pytest.raises(UserError, match="the network: class 1 and 2 have one name, 'liver'"):
        evaluate_folder(twins, folder / "images", folder / "labels")


def test_a_class_in_neither_segmentation_does_not_count(folder):
    one_sided_folder(folder)
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    (row,) = (each for each in found.scores if (each.case, each.label) == ("b", "kidney"))
    assert {value for name, value in vars(row).items() if name not in ("case", "label")} == {None}
    assert [mean.cases for mean in found.means["kidney"].values()] == [1] * 9
    assert found.one_sided == {"liver": 0, "kidney": 0}


def test_a_class_in_one_segmentation_only_scores_zero_and_has_no_distance(folder):
    """b's kidney is segmented, and the truth has none."""
    one_sided_folder(folder)
    label = nib.load(folder / "labels" / "b.nii.gz").get_fdata().astype(np.uint8)
    image = label * 100.0
    image[4:, :4] = 200
    write(folder / "images" / "b.nii.gz", image.astype(np.float32))
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    (row,) = (each for each in found.scores if (each.case, each.label) == ("b", "kidney"))
    assert (row.dice, row.iou, row.nsd) == (0, 0, 0)
    assert (row.hd95_mm, row.assd_mm, row.hd_mm, row.sensitivity) == (None,) * 4
    assert row.specificity == row.accuracy == 1 - 128 / 512
    assert found.one_sided == {"liver": 0, "kidney": 1}
    means = found.means["kidney"]
    assert [mean.cases for mean in means.values()] == [2, 2, 1, 1, 2, 1, 1, 2, 2]
    assert means["dice"].value == pytest.approx((2 * 64 / (128 + 64) + 0) / 2)


def test_distances_are_in_the_millimetres_of_each_file(tmp_path):
    """A plate one voxel thick, and the truth two voxels off: 2, 4 or 6 mm by the file's axes.

    CROOKED has voxels of 1 x 2 x 3 mm along its first, second and third axis.
    """
    np.testing.assert_array_equal(np.linalg.norm(CROOKED[:3, :3], axis=0), [1, 2, 3])
    for axis, name in enumerate("abc"):
        image, label = np.zeros((8, 8, 8), np.float32), np.zeros((8, 8, 8), np.uint8)
        np.moveaxis(image, axis, 0)[3], np.moveaxis(label, axis, 0)[5] = 100, 1
        write(tmp_path / "images" / f"{name}.nii.gz", image)
        write(tmp_path / "labels" / f"{name}.nii.gz", label)
    found = evaluate_folder(segmenter(), tmp_path / "images", tmp_path / "labels", tolerance=4.0)
    liver = [score for score in found.scores if score.label == "liver"]
    assert [score.hd95_mm for score in liver] == pytest.approx([2, 4, 6])
    assert [score.assd_mm for score in liver] == pytest.approx([2, 4, 6])
    assert [score.nsd for score in liver] == [1, 1, 0]
    assert [score.dice for score in liver] == [0, 0, 0]
    assert found.tolerance_mm == 4


def test_the_csv_has_a_row_for_each_case_and_class(folder):
    one_sided_folder(folder)
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [(row["case"], row["class"]) for row in rows] == [
        ("a", "liver"), ("a", "kidney"), ("b", "liver"), ("b", "kidney"),
    ]  # fmt: skip
    assert float(rows[1]["dice"]) == pytest.approx(2 * 64 / (128 + 64))
    assert rows[3]["dice"] == rows[3]["hd95_mm"] == ""


def test_the_json_can_be_read_back(folder):
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    record = json.loads(json.dumps(found.to_json()))
    assert record["means"]["liver"]["dice"] == {"value": 1, "low": 1, "high": 1, "cases": 2}
    assert record["scores"][0]["case"] == "a"


def test_where_no_case_has_a_class_there_is_no_dice_in_the_json(folder):
    for kind in ("images", "labels"):
        for name in ("a", "b"):
            path = folder / kind / f"{name}.nii.gz"
            shape = nib.load(path).shape
            write(path, np.zeros(shape, np.uint8))
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["dice"] is None


def test_frames_are_axial_slices(folder):
    """CROOKED's second axis runs from foot to head: a has 12 slices there, b has 6."""
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels").speed
    assert found.seconds > 0
    assert found.volumes_per_second == pytest.approx(2 / found.seconds)
    assert found.frames_per_second == pytest.approx((12 + 6) / found.seconds)


def test_images_that_cannot_be_scored_are_all_listed(folder):
    (folder / "labels" / "a.nii.gz").unlink()
    write(folder / "labels" / "b.nii.gz", np.zeros((16, 6, 9), np.uint8))
    with pytest.raises(UserError) as error:
        evaluate_folder(segmenter(), folder / "images", folder / "labels")
    told = f"a  image without a label (images/a.nii.gz); expected {folder}/labels/a.nii.gz\n"
    assert told in str(error.value)
    assert "b  image 16x6x10 and label 16x6x9 differ in shape" in str(error.value)
    assert "dataset.json" not in str(error.value)


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_file_that_breaks_after_the_check_is_named(folder, kind):
    def break_b(done, total, what):
        (folder / kind / "b.nii.gz").write_bytes(b"nothing")

    with pytest.raises(UserError, match=rf"{kind}/b\.nii\.gz cannot be read"):
        evaluate_folder(segmenter(), folder / "images", folder / "labels", break_b)


def test_labels_without_an_image_are_not_asked_for(folder):
    (folder / "images" / "b.nii.gz").unlink()
    found = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    assert found.cases.keys() == {"a"}


def test_a_label_of_another_name_is_named_beside_the_image_that_lacks_one(folder):
    labels = folder / "labels"
    (labels / "a.nii.gz").rename(labels / "a_seg.nii.gz")
    with pytest.raises(UserError) as error:
        evaluate_folder(segmenter(), folder / "images", labels)
    told = f"image without a label (images/a.nii.gz); expected {labels}/a.nii.gz"
    assert told in str(error.value)
    assert f"In {labels} without an image of their name: a_seg.nii.gz" in str(error.value)


def test_a_file_in_place_of_a_folder_is_told(folder):
    image = folder / "images" / "a.nii.gz"
    with pytest.raises(UserError, match=r"a\.nii\.gz is a file; expected a folder: put the image"):
        evaluate_folder(segmenter(), image, folder / "labels")


def test_names_are_matched_across_endings(folder):
    label = nib.load(folder / "labels" / "a.nii.gz")
    nib.save(label, folder / "labels" / "a.nii")
    (folder / "labels" / "a.nii.gz").unlink()
    assert evaluate_folder(segmenter(), folder / "images", folder / "labels").dice == 1


def test_labels_stored_as_scaled_floats_are_labels(folder):
    label = nib.load(folder / "labels" / "a.nii.gz")
    write(folder / "labels" / "a.nii.gz", label.get_fdata().astype(np.float32))
    assert evaluate_folder(segmenter(), folder / "images", folder / "labels").dice == 1
