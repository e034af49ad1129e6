import math
from functools import partial

import pytest
import torch
from monai.losses import DiceCELoss
from pydantic import ValidationError

from trainers.config import LossConfig, TrainConfig
from trainers.losses import (
    boundary_loss,
    boundary_region,
    dice_cross_entropy,
    inverse_frequencies,
    segmentation_loss,
)
from trainers.trainer import Trainer
from trainers.volumes.targets import Region, Targets

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


# Options


def volume(*labels):
    """One row of voxels, (1, 1, 1, 1, W)."""
    return torch.tensor(labels).view(1, 1, 1, 1, -1)


def logits_for(*probabilities):
    """(1, 2, 1, 1, W), by the probability of class 1 at every voxel."""
    p = torch.tensor(probabilities)
    return torch.stack([1 - p, p]).log().view(1, 2, 1, 1, -1)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_default_loss_and_its_gradient_are_those_of_monai_bit_by_bit(classes):
    logits = torch.randn(2, classes, 4, 5, 6, requires_grad=True)
    labels = torch.randint(classes, (2, 1, 4, 5, 6), dtype=torch.uint8)
    monai = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
    ours, theirs = segmentation_loss()(logits, labels), monai(logits, labels)
    assert ours == theirs
    assert torch.equal(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)))


def test_the_default_options_are_the_default_loss():
    logits = torch.randn(2, 3, 4, 5, 6)
    labels = torch.randint(3, (2, 1, 4, 5, 6), dtype=torch.uint8)
    monai = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
    assert segmentation_loss(LossConfig())(logits, labels) == monai(logits, labels)
    idle = LossConfig(boundary_reach=1)  # says something, which changes nothing
    torch.testing.assert_close(segmentation_loss(idle)(logits, labels), monai(logits, labels))


@pytest.mark.parametrize("form", ["linear", "log"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("classes", [2, 3, 14])
def test_what_a_gpu_computes_is_the_default_loss(classes, layout, form):
    """In float64, in which another order of sums does not show. Class 1 is in no voxel."""
    logits = (3 * torch.randn(2, classes, 4, 5, 6, dtype=torch.float64)).contiguous(
        memory_format=layout
    )
    labels = torch.randint(classes, (2, 1, 4, 5, 6), dtype=torch.uint8)
    labels[labels == 1] = 0
    values, gradients = [], []
    on_gpu = partial(dice_cross_entropy, form=form)
    for loss in (segmentation_loss(LossConfig(dice_form=form)), on_gpu):
        given = logits.clone().requires_grad_()
        values.append(loss(given, labels))
        values[-1].backward()
        gradients.append(given.grad)
    torch.testing.assert_close(values[1], values[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-10, atol=1e-15)


def test_terms_have_their_weights():
    logits, labels = torch.randn(1, 3, 4, 5, 6), torch.randint(3, (1, 1, 4, 5, 6))

    def loss(dice, cross_entropy, boundary):
        config = LossConfig(dice=dice, cross_entropy=cross_entropy, boundary=boundary)
        return segmentation_loss(config)(logits, labels)

    whole = 2 * loss(1, 0, 0) + 3 * loss(0, 1, 0) + 0.5 * loss(0, 0, 1)
    torch.testing.assert_close(loss(2, 3, 0.5), whole)


LOG = LossConfig(cross_entropy=0, dice_form="log")


def test_the_logarithm_of_dice_by_hand():
    """As in `test_the_loss_of_no_opinion_by_hand`, and a third class that no voxel is of."""
    loss = segmentation_loss(LOG)(torch.zeros(1, 4, 1, 2, 2), LABELS)
    first, second, absent = (2 / 4) / (4 / 4 + 1), (4 / 4) / (4 / 4 + 2), 0
    told = (-math.log(first) - math.log(second) + 1 - absent) / 3
    assert loss.item() == pytest.approx(told, abs=1e-4)
    assert LossConfig(dice_form="log").model_dump()["dice_form"] == "log"
    assert "dice_form" not in LossConfig().model_dump()  # as it was written before there were two


def test_what_is_hardly_found_is_learnt_by_the_logarithm():
    """Its gradient does not fade with the probability that the class has, that of 1 - Dice does."""
    labels = torch.zeros(1, 1, 4, 4, 4, dtype=torch.long)
    labels[..., :1, :2] = 1

    def pull(form, bias):
        logits = torch.zeros(1, 2, 4, 4, 4)
        logits[:, 1] = bias
        logits.requires_grad_()
        segmentation_loss(LossConfig(cross_entropy=0, dice_form=form))(logits, labels).backward()
        return -logits.grad[:, 1:][labels == 1].sum().item()

    assert pull("linear", -10) < 0.01 * pull("linear", 0)
    assert pull("log", -10) > pull("log", 0) > 0


def test_the_logarithm_of_dice_is_of_regions_and_what_counts_too():
    regions = Targets(("none", "a", "b"), (Region("both", (1, 2), 1), Region("b", (2,), 2)))
    logits = torch.randn(1, 2, 1, 2, 2)
    predicted, truth = logits.sigmoid(), torch.cat([LABELS > 0, LABELS == 2], 1)
    overlap = (predicted * truth).sum((0, 2, 3, 4))
    dice = 2 * overlap / (predicted.sum((0, 2, 3, 4)) + truth.sum((0, 2, 3, 4)))
    loss = segmentation_loss(LOG, regions)(logits, LABELS)
    torch.testing.assert_close(loss, -dice.log().mean(), rtol=1e-4, atol=1e-4)


def test_the_logarithm_has_no_class_weights():
    with pytest.raises(
        ValidationError, match="with class_weights: inverse expected dice_form: linear"
    ):
        LossConfig(dice_form="log", class_weights="inverse")


def test_a_loss_of_nothing_is_refused():
    with pytest.raises(ValidationError, match="one must be above it"):
        LossConfig(dice=0, cross_entropy=0)


def test_the_boundary_is_dilated_on_both_sides():
    region = boundary_region(volume(0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1), reach=3)
    # voxels 5 and 6 touch another class; three more to each side
    assert region.flatten().nonzero().flatten().tolist() == list(range(2, 10))


def test_the_boundary_is_dilated_by_a_cube():
    labels = torch.zeros(1, 1, 11, 11, 11, dtype=torch.long)
    labels[0, 0, 5, 5, 5] = 1
    inside = boundary_region(labels, reach=3)[0, 0].nonzero()
    assert len(inside) == 9**3  # the voxel and its 26 neighbours touch another class
    assert (inside.min(), inside.max()) == (1, 9)


def test_a_volume_of_one_class_has_no_boundary():
    labels = torch.ones(1, 1, 4, 4, 4, dtype=torch.long)
    assert not boundary_region(labels, reach=3).any()
    config = LossConfig(dice=0, cross_entropy=0, boundary=1, class_weights="inverse")
    assert segmentation_loss(config)(torch.randn(1, 2, 4, 4, 4), labels) == 0


def test_the_boundary_term_by_hand():
    labels = volume(0, 0, 0, 1, 1, 1, 1, 1)
    logits = logits_for(0.9, 0.9, 0.2, 0.6, 0.1, 0.1, 0.1, 0.1)
    region = boundary_region(labels, reach=0)  # voxels 2 and 3
    expected = -(math.log(0.8) + math.log(0.6)) / 2  # both classes have the same term
    assert boundary_loss(logits, labels, region).item() == pytest.approx(expected, rel=1e-5)


def test_the_boundary_term_is_of_every_class():
    labels = volume(0, 1)
    region = boundary_region(labels, reach=3)
    expected = -(math.log(1 / 3) + 2 * math.log(2 / 3)) / 3  # true class, two others
    loss = boundary_loss(torch.zeros(1, 3, 1, 1, 2), labels, region)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_boundary_term_weighs_classes():
    weights = torch.tensor([1.0, 1.0, 2.0])
    region = boundary_region(volume(0, 1), reach=3)
    logits = torch.tensor([0.5, 0.25, 0.25]).log().view(1, 3, 1, 1, 1).expand(1, 3, 1, 1, 2)
    loss = boundary_loss(logits, volume(0, 1), region, weights)
    first = -(math.log(0.5) + math.log(0.75) + 2 * math.log(0.75)) / 4  # is of class 0
    second = -(math.log(0.5) + math.log(0.25) + 2 * math.log(0.75)) / 4
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_inverse_frequencies_by_hand():
    weights = inverse_frequencies(volume(0, 0, 0, 1), classes=3)
    torch.testing.assert_close(weights, torch.tensor([4 / (3 * 3), 4 / (3 * 1), 0.0]))


def test_weighted_cross_entropy_is_the_mean_of_the_classes_means():
    config = LossConfig(dice=0, class_weights="inverse")
    loss = segmentation_loss(config)(logits_for(0.1, 0.2, 0.3, 0.4), volume(0, 0, 0, 1))
    background = -(math.log(0.9) + math.log(0.8) + math.log(0.7)) / 3
    assert loss.item() == pytest.approx((background - math.log(0.4)) / 2, rel=1e-5)


def test_weighted_dice_by_hand():
    config = LossConfig(cross_entropy=0, class_weights="inverse")
    loss = segmentation_loss(config)(torch.zeros(1, 3, 1, 2, 2), LABELS)
    # p = 1/3 at 4 voxels; classes of 1, 1 and 2 voxels weigh 1, 1 and 1/2:
    # overlap 1/3 + 1/3 + 1/3, sums 4/3 + 1, 4/3 + 1, (4/3 + 2) / 2
    assert loss.item() == pytest.approx(1 - 2 / (7 / 3 + 7 / 3 + 5 / 3), abs=1e-4)


def test_the_published_loss_teaches_every_class_and_takes_sure_networks():
    loss = segmentation_loss(LossConfig(boundary=0.5, class_weights="inverse"))
    logits = torch.zeros(1, 3, 1, 2, 2, requires_grad=True)
    loss(logits, LABELS.to(torch.uint8)).backward()
    assert (logits.grad.gather(1, LABELS) < 0).all()
    wrong = logits_of(LABELS.flip(-1, -2), 3, 1000.0).requires_grad_()
    loss(wrong, LABELS).backward()
    assert torch.isfinite(wrong.grad).all()


def test_the_trainer_minimises_the_loss_of_its_configuration(phantom):
    def first_loss(loss):
        torch.manual_seed(0)
        config = TrainConfig(patch=(8, 8, 8), epochs=1, steps_per_epoch=1, loss=loss)
        network = torch.nn.Conv3d(1, 4, 1)
        return Trainer(network, *phantom, config, device=torch.device("cpu"), seed=0).run_epoch()

    one, two = first_loss(LossConfig()), first_loss(LossConfig(dice=2, cross_entropy=2))
    assert two.loss == pytest.approx(2 * one.loss, rel=1e-5)
