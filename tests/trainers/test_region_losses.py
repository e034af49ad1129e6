"""What regions and ignored voxels are to the losses: by NumPy, by the plain ones, by gradients."""

import contextlib

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainers.data.tumours import IGNORE, REGIONS, TARGETS
from tests.trainers.oracle import exclusive
from trainers.config import DistillationConfig, LossConfig
from trainers.deep_supervision import reduced
from trainers.distillation import Distillation, softened_divergence
from trainers.inference import Ensemble
from trainers.losses import SMOOTH, TargetLoss, segmentation_loss
from trainers.training_pass import TrainingPass
from trainers.volumes.targets import Targets

SHAPE = (4, 5, 6)
CLASSES = Targets(tuple("abcd"), (), IGNORE)
CONFIGS = [
    LossConfig(),
    LossConfig(boundary=0.5),
    LossConfig(class_weights="inverse"),
    LossConfig(boundary=0.5, class_weights="inverse"),
]


def batch(channels, seed=0, patches=2):
    torch.manual_seed(seed)
    labels = torch.tensor([0, 1, 2, 3, IGNORE])[torch.randint(0, 5, (patches, 1, *SHAPE))]
    return torch.randn(patches, channels, *SHAPE, dtype=torch.float64), labels.to(torch.uint8)


def test_the_loss_of_regions_is_that_of_numpy():
    logits, labels = batch(3)
    found = segmentation_loss(LossConfig(), TARGETS)(logits, labels)
    z, label = logits.numpy(), labels.numpy()[:, 0]
    counted, probability = label != IGNORE, 1 / (1 + np.exp(-z))
    dice, entropy = [], []
    for channel, inside in enumerate(([1, 2, 3], [2, 3], [3])):
        p, t = probability[:, channel][counted], np.isin(label, inside)[counted]
        dice.append(1 - (2 * (p * t).sum() + SMOOTH) / (p.sum() + t.sum() + SMOOTH))
        entropy.append(-np.where(t, np.log(p), np.log(1 - p)))
    assert found.item() == pytest.approx(np.mean(dice) + np.mean(entropy), rel=1e-9)


def test_ignored_voxels_are_as_if_they_were_not_there():
    logits, labels = batch(4)
    counted = (labels != IGNORE)[:, 0]
    alone = logits.movedim(1, -1)[counted].T[None, :, :, None, None]  # (1, C, N, 1, 1)
    expected = segmentation_loss()(alone, labels[:, 0][counted].view(1, 1, -1, 1, 1))
    torch.testing.assert_close(segmentation_loss(LossConfig(), CLASSES)(logits, labels), expected)


@pytest.mark.parametrize("config", CONFIGS)
def test_where_nothing_is_ignored_it_is_the_loss_of_classes(config):
    logits, labels = batch(4)
    labels[labels == IGNORE] = 0
    found = segmentation_loss(config, CLASSES)(logits.float(), labels)
    torch.testing.assert_close(found, segmentation_loss(config)(logits.float(), labels))


def test_classes_alone_have_the_loss_that_they_had():
    for config in CONFIGS:
        assert type(segmentation_loss(config, exclusive(4))) is type(segmentation_loss(config))
        assert isinstance(segmentation_loss(config, CLASSES), TargetLoss)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("targets", [TARGETS, CLASSES], ids=["regions", "classes"])
def test_an_ignored_voxel_has_no_gradient(config, targets):
    logits, labels = batch(targets.outputs)
    logits.requires_grad_()
    segmentation_loss(config, targets)(logits, labels).backward()
    ignored = (labels == IGNORE).expand_as(logits)
    assert ignored.any() and (logits.grad[ignored] == 0).all()
    assert (logits.grad[~ignored] != 0).any() and logits.grad.isfinite().all()


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("targets", [TARGETS, CLASSES], ids=["regions", "classes"])
@pytest.mark.parametrize("value", [0, IGNORE])
def test_a_batch_with_nothing_in_it_has_a_finite_loss(config, targets, value):
    logits, labels = batch(targets.outputs)
    logits.requires_grad_()
    loss = segmentation_loss(config, targets)(logits, torch.full_like(labels, value))
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()
    assert value == 0 or loss == 0


def test_no_border_is_drawn_to_what_is_ignored():
    labels = torch.zeros(1, 1, 1, 1, 9, dtype=torch.uint8)
    labels[..., 4:] = IGNORE
    config = LossConfig(dice=0, cross_entropy=0, boundary=1, boundary_reach=1)
    logits = torch.randn(1, 4, 1, 1, 9)
    assert segmentation_loss(config, CLASSES)(logits, labels) == 0
    labels[..., 2:4] = 1
    assert segmentation_loss(config, CLASSES)(logits, labels) > 0


def test_labels_of_coarser_stages_keep_what_is_ignored():
    labels = torch.full((1, 1, 4, 4, 4), IGNORE, dtype=torch.uint8)
    assert (reduced(labels, torch.zeros(1, 3, 2, 2, 2)) == IGNORE).all()


# Distillation and ensembles


class Constant(nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits


def test_regions_are_distilled_each_as_inside_and_outside():
    (student, labels), (teacher, _) = batch(3), batch(3, seed=1)
    found = softened_divergence(student, teacher, 2.0, TARGETS, labels)
    p, q = (1 / (1 + np.exp(-z.numpy() / 2)) for z in (teacher, student))
    each = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(1)
    counted = labels.numpy()[:, 0] != IGNORE
    assert found.item() == pytest.approx(4 * each[counted].mean(), rel=1e-9)


@pytest.mark.parametrize("targets", [TARGETS, CLASSES], ids=["regions", "classes"])
def test_nothing_is_distilled_into_ignored_voxels(targets):
    (logits, labels), (taught, _) = batch(targets.outputs), batch(targets.outputs, seed=1)
    teacher = Constant(taught.float())
    term = Distillation(teacher, DistillationConfig(weight=1), contextlib.nullcontext, targets)
    logits.requires_grad_()
    term(torch.zeros(()), torch.zeros(2, 1, *SHAPE), logits, labels).backward()
    ignored = (labels == IGNORE).expand_as(logits)
    assert (logits.grad[ignored] == 0).all() and (logits.grad[~ignored] != 0).any()


def test_an_ensemble_of_regions_has_the_mean_of_their_probabilities():
    one, other = torch.tensor([[0.3, -2.0, 90.0]]), torch.tensor([[1.0, -90.0, 80.0]])
    found = Ensemble([Constant(one), Constant(other)], regions=True)(torch.zeros(1))
    torch.testing.assert_close(found.sigmoid(), (one.sigmoid() + other.sigmoid()) / 2)
    assert found.isfinite().all()


class Watching(nn.Conv3d):
    """Keeps the labels that it is given for its own terms."""

    def auxiliary_losses(self, target: torch.Tensor) -> dict[str, torch.Tensor]:
        self.seen = target
        return {"none": target.float().sum() * 0}


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (None, {}),
        (Targets(tuple("abcd")), {}),
        (CLASSES, {IGNORE: -1}),
        (TARGETS, {IGNORE: -1}),  # every class is in a region
        (Targets(CLASSES.classes, REGIONS[1:], IGNORE), {IGNORE: -1, 1: 0}),
        (Targets(CLASSES.classes, REGIONS[2:]), {IGNORE: 0, 1: 0, 2: 0}),
    ],
)
def test_a_network_is_told_what_does_not_count_and_what_is_in_no_region(targets, told):
    network, (_, labels) = Watching(1, 3, 1), batch(3)
    loss = segmentation_loss(LossConfig(), TARGETS)
    one_pass = TrainingPass(network, loss, (), contextlib.nullcontext, targets)
    one_pass(torch.zeros(2, 1, *SHAPE), labels)
    expected = [told.get(label, label) for label in labels.flatten().tolist()]
    assert network.seen.shape == labels.shape
    assert network.seen.flatten().tolist() == expected
