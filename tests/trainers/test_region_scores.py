"""Dice of WT, TC and ET beside NumPy, in validation and evaluation; files of probabilities."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from tests.disk import small_disk
from tests.trainers.data.tumours import CLASSES, IGNORE, REGIONS, TARGETS, dice_oracle, tumour
from tests.trainers.oracle import CROOKED, segmenter, write
from trainers.data.config import Preprocess
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.evaluate import evaluate_folder
from trainers.inference import predict_logits
from trainers.predict import predict_folder
from trainers.segmenter import Segmenter, SegmenterSpec
from trainers.surface import surface_per_class
from trainers.validation import score_cases
from trainers.volumes import segment as segment_module

SHAPE = (14, 12, 13)
PATCH = (8, 8, 8)


def cases(count=3):
    """Images, and labels that are not what they show: some voxels are wrong, some ignored."""
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        image, label = tumour(SHAPE, rng), tumour(SHAPE, rng)
        label[rng.random(SHAPE) < 0.1] = IGNORE
        found.append((image, label))
    return found


class Thresholds(nn.Module):
    """Logits of WT, TC and ET where a voxel is over 0.5, 1.5 and 2.5; it holds its label / 4."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(4.0))
        self.register_buffer("over", torch.tensor([0.5, 1.5, 2.5]).view(1, 3, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x - self.over


def of_regions(network=None, spacing=None, crop="none") -> Segmenter:
    task = Task(
        channels=1, classes=CLASSES, spacing=spacing, patch=PATCH, regions=REGIONS, ignore=IGNORE
    )
    preprocess = Preprocess(spacing="native", crop=crop, intensity="ct", window=(0, 400))
    spec = SegmenterSpec(task=task, preprocess=preprocess, overlap=0.25)
    return Segmenter(network=network or Thresholds().eval(), spec=spec)


def test_validation_scores_regions_as_numpy_does():
    torch.manual_seed(0)
    network = nn.Conv3d(1, 3, 3, padding=1).eval()
    images = [np.random.default_rng(n).normal(size=(1, *SHAPE)).astype(np.float32) for n in (1, 2)]
    labels = [label for _, label in cases(2)]
    found = score_cases(network, images, labels, TARGETS, PATCH, 0.25)
    with torch.no_grad():
        logits = [predict_logits(network, image, PATCH, 0.25).numpy() for image in images]
    for row, one, label in zip(found.dice, logits, labels, strict=True):
        predicted = np.zeros(SHAPE, int)
        for channel, value in zip(one, (1, 2, 3), strict=True):
            predicted[channel > 0] = value
        assert row.tolist() == dice_oracle(predicted, label)


@pytest.fixture
def folder(tmp_path):
    for number, (image, label) in enumerate(cases()):
        write(tmp_path / "images" / f"{number}.nii.gz", image.astype(np.float32) * 100)
        write(tmp_path / "labels" / f"{number}.nii.gz", label)
    return tmp_path


def test_evaluation_scores_regions_as_numpy_does(folder):
    found = evaluate_folder(of_regions(), folder / "images", folder / "labels")
    for number, (image, label) in enumerate(cases()):
        each = found.cases[str(number)].dice_per_class
        assert list(each) == ["WT", "TC", "ET"]
        assert list(each.values()) == dice_oracle(image, label)


def test_surfaces_of_regions_are_those_of_their_unions(folder):
    found = evaluate_folder(of_regions(), folder / "images", folder / "labels")
    spacing, (image, label) = (1.0, 2.0, 3.0), cases()[0]
    pair = TARGETS.without_ignored(image, label)
    for score, labels in zip(found.scores[:3], ((1, 2, 3), (2, 3), (3,)), strict=True):
        masks = (np.isin(one, labels).astype(np.uint8) for one in pair)
        assert [score.hd95_mm, score.assd_mm, score.nsd, score.hd_mm] == pytest.approx(
            surface_per_class(*masks, 2, spacing, 1.0)[0].tolist()
        )


def test_ignored_voxels_are_not_right(tmp_path):
    """Of 1000 voxels 800 are ignored, 50 found, 50 found in vain, 100 rightly background."""
    label = np.repeat([IGNORE, 3, 0, 0], [800, 50, 50, 100]).reshape(10, 10, 10)
    image = np.repeat([3, 3, 3, 0], [800, 50, 50, 100]).reshape(10, 10, 10)
    write(tmp_path / "images" / "a.nii.gz", image.astype(np.float32) * 100)
    write(tmp_path / "labels" / "a.nii.gz", label.astype(np.uint8))
    *_, et = evaluate_folder(of_regions(), tmp_path / "images", tmp_path / "labels").scores
    assert et.dice == pytest.approx(100 / 150)
    rates = [et.sensitivity, et.specificity, et.accuracy]
    assert rates == pytest.approx([1, 100 / 150, 150 / 200])


def test_a_value_that_is_neither_a_class_nor_ignored_is_refused(folder):
    write(folder / "labels" / "0.nii.gz", np.full(SHAPE, 4, np.uint8))
    with pytest.raises(UserError, match="expects 0 to 3, or 9 to be ignored"):
        evaluate_folder(of_regions(), folder / "images", folder / "labels")


# Files of probabilities


def random_network(channels):
    torch.manual_seed(3)
    return nn.Conv3d(1, channels, 3, padding=1).eval()


NETWORKS = {
    "classes": replace(
        segmenter(spacing=(1.5, 1.5, 1.5), crop="foreground"), network=random_network(3)
    ),
    "regions": of_regions(random_network(3), (1.5, 1.5, 1.5), "foreground"),
}


@pytest.mark.parametrize("whole", [0, 2**30], ids=["by slab", "whole"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_label_map_is_what_its_probabilities_say(folder, name, whole, monkeypatch):
    monkeypatch.setattr(segment_module, "WHOLE", whole)
    network, images = NETWORKS[name], folder / "images"
    done = predict_folder(network, images, folder / "out", probabilities=True)
    assert not done.failed
    predict_folder(network, images, folder / "plain")
    for path in done.written:
        labels = nib.load(path)
        file = nib.load(path.with_name(path.name.replace(".nii.gz", "_probabilities.nii")))
        assert file.shape == (*SHAPE, 3) and file.get_data_dtype() == np.float32
        np.testing.assert_array_equal(file.affine, labels.affine)
        shares, found = np.asarray(file.dataobj), np.asarray(labels.dataobj)
        if name == "classes":
            np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-6)
            expected = shares.argmax(-1)
        else:
            expected = np.zeros(SHAPE, int)
            for channel, value in enumerate((1, 2, 3)):
                expected[shares[..., channel] > 0.5] = value
        np.testing.assert_array_equal(found, expected)
        assert len(np.unique(found)) > 1
        assert (folder / "plain" / path.name).read_bytes() == path.read_bytes()


def test_probabilities_of_nifti_2_and_of_a_plain_network_by_hand(tmp_path):
    label = (np.arange(8**3) % 3).reshape(8, 8, 8)
    image = nib.Nifti2Image(label.astype(np.float32) * 100, CROOKED)
    (tmp_path / "images").mkdir()
    nib.save(image, tmp_path / "images" / "x.nii")
    predict_folder(segmenter(), tmp_path / "images", tmp_path / "out", probabilities=True)
    found = nib.load(tmp_path / "out" / "x_probabilities.nii")
    assert isinstance(found, nib.Nifti2Image)
    powers = np.exp(-((label[..., None] - np.arange(3)) ** 2.0))
    expected = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(np.asarray(found.dataobj), expected, atol=1e-6)


def test_what_is_there_already_is_left_out_only_with_its_probabilities(folder):
    images, out = folder / "images", folder / "out"
    predict_folder(of_regions(), images, out)
    again = predict_folder(of_regions(), images, out, skip_existing=True, probabilities=True)
    assert len(again.written) == 3
    again = predict_folder(of_regions(), images, out, skip_existing=True, probabilities=True)
    assert len(again.skipped) == 3


def test_one_file_for_two_things_is_refused(folder):
    Path(folder / "images" / "1.nii.gz").rename(folder / "images" / "0_probabilities.nii.gz")
    nib.save(nib.load(folder / "images" / "2.nii.gz"), folder / "images" / "2_probabilities.nii")
    with pytest.raises(UserError, match=r"2_probabilities\.nii would be a segmentation, and"):
        predict_folder(of_regions(), folder / "images", folder / "out", probabilities=True)
    assert not (folder / "out").exists()


def test_a_full_disk_is_told_and_leaves_no_half_file(folder, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, 20_000):  # a case's probabilities take 26 kB, its labels less than one
        done = predict_folder(of_regions(), folder / "images", disk / "out", probabilities=True)
        assert len(done.failed) == 3
        assert all("No space left on device" in reason for reason in done.failed.values())
        assert list((disk / "out").iterdir()) == []
