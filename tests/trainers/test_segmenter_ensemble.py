"""Several segmenters as one, beside means of probabilities that NumPy and SciPy make."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from scipy.special import expit, softmax
from torch import nn

from tests.trainers.oracle import CLASSES, CROOKED, segmenter, truth, write
from trainers.data.config import Preprocess
from trainers.data.task import Task
from trainers.ensemble import SegmenterEnsemble
from trainers.errors import UserError
from trainers.segmenter import Segmenter, SegmenterSpec
from trainers.volumes.targets import Region

SHAPE = (16, 12, 20)


REGIONS = (Region("both", (1, 2), 1), Region("one", (2,), 2), Region("none", (1,), 1))


def member(seed=0, patch=SHAPE, spacing=None, regions=(), **preprocess):
    """A network of random weights, used so; a patch as large as the image is a single window."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv3d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv3d(6, 3, 1)).eval()
    resampled = "native" if spacing is None else "median"
    chosen = {"spacing": resampled, "crop": "none", "intensity": "zscore", **preprocess}
    spec = SegmenterSpec(
        task=Task(channels=1, classes=CLASSES, spacing=spacing, patch=patch, regions=regions),
        preprocess=Preprocess(**chosen),
        overlap=0.25,
    )
    return Segmenter(network=network, spec=spec)


def together(*members):
    return SegmenterEnsemble.of([(f"net{n}", one) for n, one in enumerate(members)])


@pytest.fixture
def image(tmp_path):
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    write(tmp_path / "a.nii", values, np.eye(4))
    return tmp_path / "a.nii"


def logits(one, image):
    """(C_cls, D, H, W) on the member's own grid, from a single window."""
    prepared = one.prepare(image)
    with torch.no_grad():
        return one.network(torch.from_numpy(prepared.image)[None])[0].numpy()


@pytest.mark.parametrize("affine", [np.eye(4), CROOKED])
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("patch", [SHAPE, (8, 8, 8)])
def test_one_and_two_equal_ones_are_it_digit_for_digit(tmp_path, copies, patch, affine):
    values = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    write(tmp_path / "a.nii", values, affine)
    one = member(patch=patch, spacing=(1.3, 0.8, 1.1), crop="foreground")
    found = together(*[one] * copies).segment(tmp_path / "a.nii")
    expected = one.segment(tmp_path / "a.nii")
    assert found.dtype == expected.dtype and len(np.unique(expected)) == 3
    np.testing.assert_array_equal(found, expected)


def test_probabilities_are_averaged(image):
    members = [member(seed) for seed in (1, 2, 3)]
    mean = np.mean([softmax(logits(one, image), axis=0) for one in members], axis=0)
    found = together(*members).segment(image)
    np.testing.assert_array_equal(found, mean.argmax(0))
    votes = np.mean([logits(one, image) for one in members], axis=0)
    assert (found != votes.argmax(0)).any()  # the mean of logits is something else


def test_a_region_is_where_the_mean_of_its_probabilities_is_above_a_half(image):
    members = [member(seed, regions=REGIONS) for seed in (1, 2)]
    mean = np.mean([expit(logits(one, image)) for one in members], axis=0)
    expected = np.zeros(SHAPE, int)
    for region, share in zip(REGIONS, mean, strict=True):
        expected[share > 0.5] = region.value
    shares = np.zeros((3, *SHAPE), np.float32)
    np.testing.assert_array_equal(together(*members).segment(image, shares), expected)
    np.testing.assert_allclose(shares, mean, atol=1e-6)


@pytest.mark.parametrize("affine", [np.eye(4), CROOKED])
def test_the_mean_of_probabilities_is_told(tmp_path, affine):
    values = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    write(tmp_path / "a.nii", values, affine)
    members = [member(seed, (8, 8, 8), crop="foreground") for seed in (1, 2)]
    of_each = np.zeros((2, 3, *SHAPE), np.float32)
    for one, shares in zip(members, of_each, strict=True):
        one.segment(tmp_path / "a.nii", shares)
    found = np.zeros((3, *SHAPE), np.float32)
    labels = together(*members).segment(tmp_path / "a.nii", found)
    np.testing.assert_allclose(found, of_each.mean(0), atol=1e-6)
    np.testing.assert_array_equal(labels, found.argmax(0))


def test_networks_of_other_spacings_vote_on_the_voxels_of_the_image(image):
    half = tuple(n // 2 for n in SHAPE)
    fine, coarse = member(1), member(2, patch=half, spacing=(2.0, 2.0, 2.0), intensity="robust")
    small = logits(coarse, image)
    assert small.shape[1:] == half
    # The middle of voxel i of 2 mm is 2 i + 0.5 voxels of 1 mm from the middle of the first.
    where = np.meshgrid(*[(np.arange(n) - 0.5) / 2 for n in SHAPE], indexing="ij")
    large = [map_coordinates(one, where, order=1, mode="nearest") for one in small]
    expected = (softmax(logits(fine, image), axis=0) + softmax(np.stack(large), axis=0)) / 2
    sure = np.ptp(np.sort(expected, axis=0)[-2:], axis=0) > 1e-6  # where rounding decides nothing
    found = together(fine, coarse).segment(image)
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(found[sure], expected.argmax(0)[sure])


def test_the_order_does_not_matter(image):
    members = [member(1), member(2, (8, 8, 8)), member(3, spacing=(1.5, 1.5, 1.5))]
    found = [together(*order).segment(image) for order in permutations(members)]
    assert all((one == found[0]).all() for one in found)


@pytest.mark.parametrize("whole", [0, 2**30])
def test_it_makes_no_difference_how_an_image_is_cut_into_slabs(image, monkeypatch, whole):
    members = [member(1, (8, 8, 8)), member(2, (6, 12, 8), spacing=(0.7, 1.5, 1.2))]
    expected = together(*members).segment(image)
    monkeypatch.setattr("trainers.ensemble.WHOLE", whole)
    monkeypatch.setattr("trainers.volumes.rows.AT_ONCE", 2000)
    found = together(*members).segment(image)
    assert (found == expected).mean() > 0.9999  # along another axis sums are rounded otherwise
    if whole:
        np.testing.assert_array_equal(found, expected)


def test_outside_of_its_crop_a_network_is_sure_of_the_background(tmp_path):
    values = np.zeros((8, 8, 8), np.float32)
    values[2:6, 2:6, 2:6] = 200
    write(tmp_path / "a.nii", values, np.eye(4))
    cropping, whole = segmenter(crop="foreground"), segmenter()
    # The other one calls everything liver, with a probability of 0.6 at most in the background
    certain = Segmenter(network=Liver(), spec=whole.spec)
    found = together(cropping, certain).segment(tmp_path / "a.nii")
    assert (found[values == 0] == 0).all()
    alone = certain.segment(tmp_path / "a.nii")
    assert (alone == 1).all()


class Liver(nn.Module):
    """Says liver with a probability of 0.6, and background with 0.4."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.4, 0.6, 1e-9]).log().view(1, 3, 1, 1, 1))

    def forward(self, x):
        return self.logits.expand(len(x), -1, *x.shape[2:])


def test_an_array_is_segmented_as_its_file_is(image):
    ensemble = together(member(1), member(2, spacing=(1.5, 1.5, 1.5)))
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    np.testing.assert_array_equal(
        ensemble.segment_array(values, np.eye(4)), ensemble.segment(image)
    )


def test_labels_lie_on_a_crooked_images_voxels(tmp_path):
    label = truth((9, 12, 7))
    write(tmp_path / "a.nii.gz", label.astype(np.float32) * 100)
    found = together(segmenter(), segmenter(crop="foreground")).segment(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(found, label)


def changed(**changes):
    one = member()
    spec, task = one.spec, one.spec.task
    keys = {key: changes.pop(key) for key in ("orientation", "affine") if key in changes}
    preprocess = spec.preprocess.model_copy(update=keys)
    spec = spec.model_copy(
        update={"task": task.model_copy(update=changes), "preprocess": preprocess}
    )
    return replace(one, spec=spec)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"classes": ("background", "kidney", "liver")},
            "classes background, liver, kidney and background, kidney, liver",
        ),
        ({"classes": ("background", "liver")}, "classes background, liver, kidney and background,"),
        ({"channels": 2}, "channels 1 and 2"),
        ({"orientation": "LPS"}, "orientation RAS and LPS"),
        ({"affine": "qform"}, "affine sform and qform"),
    ],
)
def test_what_does_not_go_together_is_one_line_that_names_both(changes, words):
    with pytest.raises(UserError, match=f"net0 and net1 are no ensemble: {words}"):
        together(member(), changed(**changes))


def test_what_one_ignores_is_ignored_whichever_comes_first():
    some, all_voxels = changed(ignore=9), member()
    for both in permutations((some, all_voxels)):
        assert together(*both).task.targets.ignore == 9
    with pytest.raises(UserError, match="net1 and net2 are no ensemble: ignore 9 and 7"):
        together(all_voxels, some, changed(ignore=7))


def test_names_of_channels_are_compared_where_both_have_them():
    named, other = changed(modalities=("CT",)), changed(modalities=("MRI",))
    together(named, member())
    with pytest.raises(UserError, match="modalities CT and MRI"):
        together(named, other)
