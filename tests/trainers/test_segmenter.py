from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainers.oracle import CROOKED, Oracle, segmenter, truth, write
from trainers.ensemble import SegmenterEnsemble
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


TOGETHER = SegmenterEnsemble.of([("one", segmenter()), ("other", segmenter())])


@pytest.mark.parametrize("one", [segmenter(), TOGETHER])
def test_an_image_is_a_file_or_files_in_any_sequence_and_no_array(tmp_path, one):
    label = truth((9, 12, 7))
    write(tmp_path / "a.nii.gz", label.astype(np.float32) * 100)
    file = tmp_path / "a.nii.gz"
    for image in (str(file), [file], [str(file)], (str(file),)):
        np.testing.assert_array_equal(one.segment(image), label)
    for image in (label, label[None], []):
        with pytest.raises(UserError, match="voxels go to segment_array"):
            one.segment(image)


@pytest.mark.parametrize("one", [segmenter(), TOGETHER])
@pytest.mark.parametrize("shares", [np.zeros((2, 9, 12, 7)), np.zeros((3, 9, 12, 7), np.uint8)])
def test_an_array_that_cannot_hold_the_probabilities_is_refused(tmp_path, one, shares):
    write(tmp_path / "a.nii.gz", np.zeros((9, 12, 7), np.float32))
    with pytest.raises(UserError, match=r"expected float32 \(3, 9, 12, 7\)"):
        one.segment(tmp_path / "a.nii.gz", shares)


def test_voxels_are_an_array_or_what_numpy_makes_one_of():
    values = truth((9, 12, 7)) * 100.0
    for image in (torch.from_numpy(values), values.tolist()):
        found = segmenter().segment_array(image, np.eye(4))
        np.testing.assert_array_equal(found, truth((9, 12, 7)))


def test_channels_that_the_network_does_not_expect_are_refused(tmp_path):
    write(tmp_path / "a.nii.gz", np.zeros((8, 8, 8), np.float32))
    with pytest.raises(UserError, match=r"a\.nii\.gz has 1 channels; the network expects 2"):
        segmenter(channels=2).segment(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("whole", [0, 2**30])
@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_refused(tmp_path, monkeypatch, scale, whole):
    """NaN is larger than nothing: all would be background. Whole, by slabs, and of several."""
    monkeypatch.setattr("trainers.volumes.segment.WHOLE", whole)
    write(tmp_path / "a.nii.gz", truth((9, 12, 7)).astype(np.float32) * 100)
    broken = replace(segmenter(), network=Oracle(scale=scale).eval())
    ensemble = SegmenterEnsemble.of([("one", segmenter()), ("other", broken)])
    for one in (broken, ensemble):
        with pytest.raises(UserError, match=r"a\.nii\.gz: the network's logits are not all finite"):
            one.segment(tmp_path / "a.nii.gz")


def test_logits_whose_sum_is_too_large_are_numbers_all_the_same(tmp_path):
    label = truth((9, 12, 7))
    write(tmp_path / "a.nii.gz", label.astype(np.float32) * 100)
    sure = replace(segmenter(), network=Sure().eval())
    np.testing.assert_array_equal(sure.segment(tmp_path / "a.nii.gz"), label)


class Sure(Oracle):
    def forward(self, x):
        return 1e37 * super().forward(x)


def trained_on(sizes=None, lowest=(), **preprocess):
    """The segmenter of a network that was trained on voxels of these mm, and of values from
    `lowest` on."""
    plain = segmenter()
    task = plain.task.model_copy(update={"voxel_size": sizes, "lowest": lowest})
    changed = {"preprocess": plain.spec.preprocess.model_copy(update=preprocess), "task": task}
    return replace(plain, spec=plain.spec.model_copy(update=changed))


OTHER_UNITS = {
    "thousandths": lambda hu: hu / 1000,
    "without intercept": lambda hu: hu + 1024,
    "as bytes": lambda hu: (hu + 1024) / 3000 * 255,
}


def hounsfield(seed=0):
    """Air at -1,024 to -960 around tissue, with bone and metal."""
    values = np.random.default_rng(seed).normal(40, 20, (8, 8, 8)).astype(np.float32)
    values[:3] = np.linspace(-1024, -960, 64).reshape(8, 8)
    values[5, 5, 5:7] = 1200, 9000
    return values


def told_of_units(recwarn, one, path):
    one.segment(path)
    return [str(w.message) for w in recwarn if "Hounsfield" in str(w.message)]


@pytest.mark.parametrize("change", OTHER_UNITS.values(), ids=OTHER_UNITS)
def test_ct_that_is_not_in_hounsfield_units_is_said(tmp_path, recwarn, change):
    write(tmp_path / "a.nii.gz", changed := change(hounsfield()))
    [told] = told_of_units(recwarn, trained_on(lowest=(-1024.0,)), tmp_path / "a.nii.gz")
    assert f"has {changed.min():.4g} as its lowest value" in told
    assert "trained on Hounsfield units from about -1024 on" in told


@pytest.mark.parametrize(
    ("values", "trained"),
    [
        (hounsfield(), {"lowest": (-1024.0,)}),
        (hounsfield() / 2, {"lowest": (-3024.0,)}),  # a scanner's value for what it did not see
        (np.maximum(hounsfield(), -120), {"lowest": (-1024.0,)}),  # fat alone
        (hounsfield() / 1000, {"lowest": (None,)}),
        (hounsfield() / 1000, {}),  # before it was recorded
        (hounsfield() / 1000, {"lowest": (-1024.0,), "intensity": "robust", "window": None}),
    ],
)
def test_units_are_not_spoken_of_where_they_are_right_or_do_not_count(
    tmp_path, recwarn, values, trained
):
    write(tmp_path / "a.nii.gz", values)
    assert told_of_units(recwarn, trained_on(**trained), tmp_path / "a.nii.gz") == []


@pytest.mark.parametrize("sizes", [(1, 1, 10), (0.001, 0.001, 0.0015), (1000, 1000, 1000)])
def test_voxels_far_from_those_of_the_training_are_said(tmp_path, sizes):
    write(tmp_path / "a.nii.gz", np.zeros((8, 8, 8), np.float32), np.diag([*sizes, 1.0]))
    with pytest.warns(UserWarning, match=r"a\.nii\.gz has voxels of .*trained on 1 x 1 x 1 mm"):
        trained_on((1, 1, 1)).segment(tmp_path / "a.nii.gz")


def test_voxels_near_those_of_the_training_are_not_spoken_of(tmp_path, recwarn):
    write(tmp_path / "a.nii.gz", np.zeros((8, 8, 8), np.float32), np.diag([0.5, 1, 3, 1]))
    trained_on((1, 1, 1)).segment(tmp_path / "a.nii.gz")
    assert not [w for w in recwarn if w.category is UserWarning]


def test_an_array_with_a_sheared_affine_is_refused():
    sheared = np.eye(4)
    sheared[0, 1] = 0.5
    with pytest.raises(UserError, match="the image has a sheared affine: axes 1 and 2"):
        segmenter().segment_array(np.zeros((8, 8, 8)), sheared)


@pytest.mark.parametrize(("intensity", "warned"), [("zscore", True), ("robust", False)])
def test_a_voxel_that_moves_the_z_score_is_said_where_the_network_uses_it(
    tmp_path, recwarn, intensity, warned
):
    values = np.random.default_rng(0).normal(100, 10, (16, 16, 16)).astype(np.float32)
    values[3, 4, 5] = 1e6
    write(tmp_path / "a.nii.gz", values)
    plain = segmenter()
    preprocess = plain.spec.preprocess.model_copy(update={"intensity": intensity, "window": None})
    spec = plain.spec.model_copy(update={"preprocess": preprocess})
    replace(plain, spec=spec).segment(tmp_path / "a.nii.gz")
    assert any("move its z-score" in str(one.message) for one in recwarn) is warned
