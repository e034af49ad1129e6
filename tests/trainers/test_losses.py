import math

import pytest
import torch

from trainers.losses import segmentation_loss

LABELS = torch.tensor([0, 1, 2, 2]).view(1, 1, 1, 2, 2)


def logits_of(labels, classes, confidence):
    return confidence * torch.nn.functional.one_hot(labels[:, 0], classes).movedim(-1, 1).float()


def test_a_perfect_prediction_costs_next_to_nothing():
    assert segmentation_loss()(logits_of(LABELS, 3, 50.0), LABELS).item() == pytest.approx(
        0, abs=1e-4
    )


def test_the_loss_of_no_opinion_by_hand():
    loss = segmentation_loss()(torch.zeros(1, 3, 1, 2, 2), LABELS)
    # Cross-entropy log 3. Dice with p = 1/3 everywhere, 4 voxels: class 1 (one voxel)
    # 2/3 / (4/3 + 1), class 2 (two voxels) 4/3 / (4/3 + 2); the background does not count.
    dice = ((2 / 3) / (7 / 3) + (4 / 3) / (10 / 3)) / 2
    assert loss.item() == pytest.approx(math.log(3) + 1 - dice, abs=1e-4)


def test_dice_is_of_the_whole_batch():
    """A class in one of two cases: Dice by case would average in an empty one."""
    labels = torch.tensor([[1, 0], [0, 0]]).view(2, 1, 1, 1, 2)
    loss = segmentation_loss()(torch.zeros(2, 2, 1, 1, 2), labels)
    assert loss.item() == pytest.approx(math.log(2) + 1 - 2 * 0.5 / (4 * 0.5 + 1), abs=1e-4)


def test_the_loss_teaches_every_class():
    logits = torch.zeros(1, 3, 1, 2, 2, requires_grad=True)
    segmentation_loss()(logits, LABELS.to(torch.uint8)).backward()
    true = logits.grad.gather(1, LABELS)
    assert (true < 0).all()  # the true class of every voxel is to rise
