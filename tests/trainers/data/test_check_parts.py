"""What cases are to each other: content twice, classes that a part lacks, odd sizes."""

import nibabel as nib
import numpy as np
import pytest

from trainers.data.build_cache import build_cache
from trainers.data.check import examine
from trainers.data.check.parts import check_parts
from trainers.data.config import Preprocess
from trainers.data.msd import MsdData, read_msd
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.errors import UserError
from trainers.volumes.targets import Region, Targets

from .volumes import SHAPE, ball, write_nifti

SPLIT = Cases(train=("a", "b"), validation=("c",))
CLASSES = ("background", "low", "high")


def found(folder, split=SPLIT, regions=()) -> list[tuple[str | None, str, bool, str]]:
    cases = examine(read_msd(folder)).cases
    findings = check_parts(cases, Targets(CLASSES, regions), split)
    return [(one.case, one.kind.value, one.fault, one.message) for one in findings]


def copy(folder, source: str, to: str, parts=("imagesTr", "labelsTr")) -> None:
    """The same voxels in another type, so that the files differ."""
    for part in parts:
        values = np.asarray(nib.load(folder / part / f"{source}.nii.gz").dataobj)
        write_nifti(folder / part / f"{to}.nii.gz", values.astype(np.float64))


def label(folder, name: str, values) -> None:
    write_nifti(folder / "labelsTr" / f"{name}.nii.gz", np.asarray(values, np.uint8))


def test_good_cases_pass(msd):
    assert found(msd) == found(msd, None) == []


def test_the_same_case_in_training_and_validation_is_a_leak(msd):
    copy(msd, "a", "c")
    [(case, kind, fault, message)] = found(msd)
    assert (case, kind, fault) == ("c", "leak", True)
    assert "the same as those of a; that is in training, this in validation" in message
    assert "data.split.groups" in message


def test_a_copy_with_its_axes_in_another_order_is_a_leak(msd):
    """As tools write it that reorient: the same voxels at the same places."""
    for part in ("imagesTr", "labelsTr"):
        volume = nib.load(msd / part / "a.nii.gz")
        turned = volume.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
        assert turned.shape != volume.shape
        nib.save(turned, msd / part / "c.nii.gz")
    assert [(case, kind) for case, kind, *_ in found(msd)] == [("c", "leak")]


def test_the_same_case_in_validation_and_test_is_a_leak(msd):
    copy(msd, "a", "b")
    [(case, kind, fault, _)] = found(msd, Cases(train=("c",), validation=("a",), test=("b",)))
    assert (case, kind, fault) == ("b", "leak", True)


def test_the_worst_of_several_copies_is_told(msd):
    copy(msd, "a", "b")
    copy(msd, "a", "c")
    kinds = [(case, kind) for case, kind, *_ in found(msd)]
    assert kinds == [("b", "duplicate"), ("c", "leak")]


def test_one_image_with_two_labels_is_a_doubt_in_two_parts(msd):
    copy(msd, "a", "c", ["imagesTr"])
    label(msd, "c", ball(SHAPE, 0.5))
    [(case, kind, fault, message)] = found(msd)
    assert (case, kind, fault) == ("c", "duplicate", False)
    assert "scores will be too good" in message


def test_the_same_case_twice_in_a_part_is_a_doubt(msd):
    copy(msd, "a", "b")
    told = "image and label are the same as those of a; both are in training"
    assert found(msd) == [("b", "duplicate", False, told)]


def test_without_a_split_copies_are_a_doubt(msd):
    copy(msd, "a", "c")
    told = "image and label are the same as those of a"
    assert found(msd, None) == [("c", "duplicate", False, told)]


def test_constant_images_are_no_copies_of_each_other(msd):
    for name in "ac":
        write_nifti(msd / "imagesTr" / f"{name}.nii.gz", np.zeros(SHAPE, np.float32))
    assert found(msd) == []


def test_cases_of_no_part_are_left_out(msd):
    copy(msd, "a", "c")
    assert found(msd, Cases(train=("a",), validation=("b",))) == []


def test_a_class_that_no_case_has(msd):
    for name in "abc":
        label(msd, name, ball(SHAPE) > 0)
    assert found(msd) == [(None, "class", False, "no case has class 2 (high)")]


def test_a_class_that_validation_lacks(msd):
    label(msd, "c", ball(SHAPE) > 0)
    told = "no validation case has class 2 (high): it cannot be scored"
    assert found(msd) == [(None, "class", False, told)]


def test_a_class_that_training_lacks(msd):
    for name in "ab":
        label(msd, name, ball(SHAPE) > 0)
    told = "no training case has class 2 (high): it cannot be learnt"
    assert found(msd) == [(None, "class", False, told)]


def test_many_classes_that_no_case_has_are_not_all_listed(msd):
    cases = examine(read_msd(msd)).cases
    names = ("background", *(f"organ {i}" for i in range(1, 301)))
    wider = [one.model_copy(update={"voxels": one.voxels + (0,) * 298}) for one in cases]
    [finding] = check_parts(wider, Targets(names), None)
    assert finding.message.startswith("no case has any of the classes 3 (organ 3), 4 (organ 4)")
    assert finding.message.endswith("and 288 more")


@pytest.mark.parametrize(
    ("empty", "part"), [("abc", ""), ("ab", "training "), ("c", "validation ")]
)
def test_a_part_without_any_foreground_is_a_fault(msd, empty, part):
    for name in empty:
        label(msd, name, np.zeros(SHAPE))
    told = f"no {part}case has any class: all labels are background alone"
    assert (None, "no foreground", True, told) in found(msd)


@pytest.mark.parametrize(
    ("without", "part"), [("abc", ""), ("ab", "training "), ("c", "validation ")]
)
def test_a_part_without_any_region_is_a_fault(msd, without, part):
    """A label that is in no region is background: neither learnt nor scored."""
    for name in without:
        label(msd, name, ball(SHAPE) > 0)
    told = f"no {part}case has any region: all labels are in none"
    core, both = Region("core", (2,), 2), Region("both", (1, 2), 1)
    assert found(msd, regions=(core,)) == [(None, "no foreground", True, told)]
    assert not any(fault for *_, fault, _ in found(msd, regions=(both, core)))


def test_a_test_set_may_lack_classes(msd):
    label(msd, "c", np.zeros(SHAPE))
    assert found(msd, Cases(train=("a",), validation=("b",), test=("c",))) == []


def write_voxels(folder, name: str, size: tuple[float, ...], shape=SHAPE) -> None:
    affine = np.diag([*size, 1.0])
    values = np.random.default_rng(len(name)).normal(100, 10, shape).astype(np.float32)
    write_nifti(folder / "imagesTr" / f"{name}.nii.gz", values, affine)
    write_nifti(folder / "labelsTr" / f"{name}.nii.gz", ball(shape), affine)


@pytest.mark.parametrize("size", [(1, 1, 3.1), (0.3, 1, 1), (0.001, 0.001, 0.001)])
def test_a_voxel_size_far_from_the_median(msd, size):
    write_voxels(msd, "b", size)
    [(case, kind, fault, message)] = found(msd)
    assert (case, kind, fault) == ("b", "voxel size", False)
    assert message.endswith("the median of the set is 1 x 1 x 1")


def test_a_voxel_size_is_compared_along_the_axes_of_the_body(msd):
    """Thick slices in every case, along another axis of the file in one of them."""
    for name in "ac":
        write_voxels(msd, name, (1, 1, 5), (14, 12, 10))
    turned = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1.0]])
    values = np.random.default_rng(9).normal(100, 10, (10, 12, 14)).astype(np.float32)
    write_nifti(msd / "imagesTr" / "b.nii.gz", values, turned)
    write_nifti(msd / "labelsTr" / "b.nii.gz", ball((10, 12, 14)), turned)
    assert not [one for one in found(msd) if one[1] == "voxel size"]


def test_an_image_of_a_small_part(msd):
    write_voxels(msd, "b", (1, 1, 1), (12, 14, 3))
    [(case, kind, fault, message)] = found(msd)
    assert (case, kind, fault) == ("b", "field of view", False)
    assert message.startswith("image is 12 x 14 x 3 mm, the median of the set is 12 x 14 x 10")


def write_ct(folder, change=lambda values: values) -> None:
    """Air around tissue and bone in HU; `change` of the case b."""
    for number, name in enumerate("abc"):
        values = np.full(SHAPE, -1000.0)
        values[2:-2, 2:-2, 2:-2] = np.random.default_rng(number).uniform(-100, 700, (8, 10, 6))
        values = change(values) if name == "b" else values
        write_nifti(folder / "imagesTr" / f"{name}.nii.gz", values.astype(np.float32))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda values: values + 1024, "the lowest value is 24, in the median case -1000: no Houn"),
        (lambda values: values.clip(0), "the lowest value is 0, in the median case -1000"),
        (lambda values: values * 100, "99% of the voxels are -1e+05 to "),
        (lambda values: values / 1000, "99% of the voxels are -1 to "),
    ],
)
def test_a_case_of_ct_in_other_units(msd, change, told):
    write_ct(msd, change)
    [(case, kind, fault, message)] = found(msd)
    assert (case, kind, fault) == ("b", "intensities", False)
    assert message.startswith(told)


def test_cases_of_ct_in_hounsfield_units_pass(msd):
    """Also without air, and with metal."""
    write_ct(msd, lambda values: np.where(values < -900, -90, np.where(values > 698, 3e4, values)))
    assert found(msd) == []


def test_other_images_have_no_unit(msd):
    values = np.random.default_rng(7).normal(1e5, 1e4, SHAPE).astype(np.float32)
    write_nifti(msd / "imagesTr" / "b.nii.gz", values)
    assert found(msd) == []


# The way of a search


def config(folder, split) -> MsdData:
    file = folder.parent / "split.json"
    file.write_text(split.to_json())
    return MsdData(path=folder, split=file, preprocess=Preprocess(spacing="native"))


def test_a_leak_refuses_a_search(msd, tmp_path):
    copy(msd, "a", "c")
    with pytest.raises(UserError) as error:
        prepare_data(config(msd, SPLIT), tmp_path)
    assert "1 of 3 cases cannot be used\n  c  image and label are the same as those of a" in str(
        error.value
    )


def test_another_split_of_the_same_cache_is_looked_at_anew(msd, tmp_path):
    copy(msd, "a", "c")
    apart, together = Cases(("a", "c"), ("b",)), SPLIT
    with pytest.warns(UserWarning, match="both are in training"):
        prepare_data(config(msd, apart), tmp_path)
    with pytest.raises(UserError, match="this in validation"):
        prepare_data(config(msd, together), tmp_path, lambda *_: pytest.fail("read again"))


def test_all_labels_empty_refuse_a_search(msd, tmp_path):
    for name in "abc":
        label(msd, name, np.zeros(SHAPE))
    with pytest.raises(UserError, match="these data cannot be used\n  no case has any class"):
        prepare_data(config(msd, SPLIT), tmp_path)


def test_doubts_are_told_again_where_nothing_is_read_again(msd, tmp_path):
    write_nifti(msd / "imagesTr" / "a.nii.gz", np.full(SHAPE, 5, np.uint8))
    for progress in (None, lambda *_: pytest.fail("read again")):
        with pytest.warns(
            UserWarning, match="`segnas check` shows in full\n  a  image is 5 everywhere"
        ):
            prepare_data(config(msd, SPLIT), tmp_path, progress)


def test_a_cache_keeps_what_was_found(msd, tmp_path):
    write_nifti(msd / "imagesTr" / "a.nii.gz", np.full(SHAPE, 5, np.uint8))
    cache = build_cache(read_msd(msd), Preprocess(spacing="native"), tmp_path)
    assert cache.check() == examine(read_msd(msd))
