"""What logits stand for: by hand, and on the way back to a file beside NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainers.data.tumours import IGNORE, TARGETS
from tests.trainers.data.volumes import settings_of, write_nifti
from tests.trainers.oracle import exclusive
from trainers.volumes import rows as rows_module
from trainers.volumes.preprocess import prepare_image
from trainers.volumes.restore import restore, restore_slabs

# Of WT, TC and ET at seven voxels, and the label that these make.
LOGITS = [[-1, 1, 1, 1, -1, -1, 0], [-1, -1, 1, 1, -1, 1, 0], [-1, -1, -1, 1, 1, -1, 0]]
LABELS = [0, 1, 2, 3, 3, 2, 0]


def test_a_later_region_takes_the_place_of_an_earlier_one():
    logits = torch.tensor(LOGITS, dtype=torch.float32)
    assert TARGETS.label_map(logits).tolist() == LABELS
    assert TARGETS.overwritten(iter(logits.numpy())).tolist() == LABELS
    other = replace(TARGETS, regions=TARGETS.regions[::-1])  # the whole tumour comes last
    assert other.label_map(logits.flip(0)).tolist() == [0, 1, 1, 1, 3, 2, 0]


def test_what_channels_stand_for():
    assert TARGETS.names == ("WT", "TC", "ET") and TARGETS.outputs == 3
    assert TARGETS.groups == ((1, 2, 3), (2, 3), (3,))
    assert TARGETS.values == IGNORE + 1 and not TARGETS.plain
    three = exclusive(3)
    assert three.names == ("class 1", "class 2") and three.outputs == 3
    assert three.groups == ((1,), (2,)) and three.values == 3 and three.plain
    assert not replace(three, ignore=3).plain


def test_labels_become_what_is_learnt():
    labels = torch.tensor([0, 1, 2, 3, IGNORE], dtype=torch.uint8).view(1, 1, 5)
    expected = [[0, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 0]]
    assert TARGETS.truth(labels)[0].tolist() == expected
    assert TARGETS.counted(labels).flatten().tolist() == [True] * 4 + [False]
    classes = replace(exclusive(4), ignore=IGNORE)
    assert classes.truth(labels)[0].tolist() == np.eye(4, 5).tolist()


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_ignored_voxels_are_background_in_both(make):
    pair = TARGETS.without_ignored(make([1, 2, 3, 0]), make([1, IGNORE, IGNORE, 2]))
    assert [one.tolist() for one in pair] == [[1, 0, 0, 0], [1, 0, 0, 2]]
    same = make([1, 2])
    assert exclusive(3).without_ignored(same, same)[0] is same


@pytest.fixture
def prepared(tmp_path):
    """Askew, mirrored and cropped, on a grid of other voxels."""
    image = np.zeros((11, 9, 13), np.float32)
    image[2:-1, 1:-2, 3:-2] = np.random.default_rng(1).normal(100, 9, (8, 6, 8))
    affine = np.array([[0, 0, -3.0, 4], [-1, 0, 0, 7], [0, 2, 0, -5], [0, 0, 0, 1]])
    write_nifti(tmp_path / "x.nii", image, affine)
    return prepare_image(tmp_path / "x.nii", settings_of(crop="foreground"), (1.3, 1.7, 2.1))


def random_logits(prepared, channels):
    size = channels, *prepared.grid.shape
    return np.random.default_rng(2).normal(0, 3, size).astype(np.float32)


def by_numpy(logits, prepared, targets):
    """Probabilities and labels of the whole volume at once."""
    spaced = np.stack([prepared.back(one) for one in logits]).astype(np.float64)
    if targets.regions:
        found, labels = 1 / (1 + np.exp(-spaced)), np.zeros(spaced.shape[1:], int)
        for region, one in zip(targets.regions, found, strict=True):
            labels[one > 0.5] = region.value
    else:
        powers = np.exp(spaced - spaced.max(0))
        found, labels = powers / powers.sum(0), spaced.argmax(0)
    whole = np.zeros((len(logits), *prepared.oriented.shape))
    whole[: targets.first_scored] = 1
    whole[(slice(None), *prepared.box)] = found
    map_of_all = np.zeros(prepared.oriented.shape, int)
    map_of_all[prepared.box] = labels
    return np.stack([prepared.turn.undo(one) for one in whole]), prepared.turn.undo(map_of_all)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("targets", [TARGETS, exclusive(4)], ids=["regions", "classes"])
def test_labels_and_probabilities_are_those_of_numpy(prepared, targets, axis, monkeypatch):
    monkeypatch.setattr(rows_module, "AT_ONCE", 300)  # some rows at a time
    logits = random_logits(prepared, targets.outputs)
    expected, labels = by_numpy(logits, prepared, targets)
    shares = np.zeros((targets.outputs, *prepared.native.shape), np.float32)
    moved = torch.from_numpy(logits).movedim(axis + 1, 1)
    found = restore_slabs(moved.split(2, 1), axis, prepared, targets, shares)
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(restore(logits, prepared, targets), labels)
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    if targets.plain:
        np.testing.assert_array_equal(shares.argmax(0), found)
        np.testing.assert_allclose(shares.sum(0), 1, atol=1e-6)
