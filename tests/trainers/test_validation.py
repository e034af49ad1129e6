"""Cases scored together, beside each of them alone."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.trainers.oracle import exclusive
from trainers.inference import predict_logits
from trainers.metrics import dice_per_class
from trainers.validation import count_pairs, score_cases, windows_of_a_pass

PATCH = (8, 8, 8)
MIXED = [(5, 8, 6), (8, 8, 8), (8, 9, 8), (7, 3, 8), (20, 8, 8), (19, 13, 11), (8, 1, 8), (2, 3, 5)]
RANDOM = np.random.default_rng(0)


def image(*shape):
    return RANDOM.normal(size=(1, *shape)).astype(np.float32)


def label(*shape, classes=3):
    return RANDOM.integers(0, classes, shape).astype(np.uint8)


def network(classes=3):
    torch.manual_seed(0)
    return nn.Conv3d(1, classes, 3, padding=1).eval()


def test_cases_of_any_sizes_have_the_dice_that_each_has_alone():
    net, images, labels = network(), [image(*s) for s in MIXED], [label(*s) for s in MIXED]
    together = score_cases(net, images, labels, exclusive(3), PATCH, 0.25)
    with torch.no_grad():
        alone = [predict_logits(net, one, PATCH, 0.25).argmax(0).numpy() for one in images]
    expected = [dice_per_class(*pair, 3) for pair in zip(alone, labels, strict=True)]
    np.testing.assert_array_equal(together.dice, np.stack(expected))
    assert together.finite.all()


@pytest.mark.parametrize(
    "shapes, batches",
    [
        ([(8, 6, 8)] * 5, [2, 2, 1]),
        ([(20, 8, 8), (8, 6, 8), (9, 9, 8)], [2, 2, 2, 2]),  # 3 windows, 1 and 4
    ],
)
def test_windows_of_several_cases_share_passes(shapes, batches):
    net, seen = network(), []
    net.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    pauses = []
    images, labels = [image(*s) for s in shapes], [label(*s) for s in shapes]
    score_cases(net, images, labels, exclusive(3), PATCH, 0.25, lambda: pauses.append(len(seen)))
    assert seen == batches
    assert pauses == list(range(len(batches)))  # one before every pass


def test_small_windows_fill_a_pass_on_a_gpu():
    gpu = torch.device("cuda")
    assert windows_of_a_pass((40, 56, 40), gpu) == 11  # of 89,600 voxels, in 1,048,576
    assert windows_of_a_pass((128, 128, 128), gpu) == 2
    assert windows_of_a_pass((40, 56, 40), torch.device("cpu")) == 2


def test_a_case_with_a_logit_that_is_no_number_is_told_from_the_others():
    images = [image(8, 8, 8), image(20, 8, 8), image(8, 8, 8)]
    images[1][0, 15, 2, 2] = np.inf
    labels = [label(*one.shape[1:]) for one in images]
    scores = score_cases(network(), images, labels, exclusive(3), PATCH, 0.25)
    assert scores.finite.tolist() == [True, False, True]


class ReadBacks(TorchDispatchMode):
    """Counts what makes a program wait for a GPU: a value of a tensor taken into Python."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket is torch.ops.aten._local_scalar_dense
        return func(*args, **(kwargs or {}))


def test_nothing_is_read_back_case_by_case():
    shapes = [(8, 6, 8)] * 3
    images, labels = [image(*s) for s in shapes], [label(*s) for s in shapes]
    with ReadBacks() as read:
        score_cases(network(), images, labels, exclusive(3), PATCH, 0.25)
    assert read.count == 0
    with ReadBacks() as read:
        bool(torch.ones(1).isfinite().all())
    assert read.count == 1  # it would have been seen


def test_pairs_of_300_classes_are_counted_apart():
    predicted = torch.tensor([0, 299, 299, 7]).view(2, 1, 2)
    truth = torch.from_numpy(np.array([0, 299, 1, 299], np.uint16)).view(2, 1, 2)
    counts = count_pairs(predicted, truth, 300).view(300, 300)
    assert counts.sum() == 4
    assert counts[0, 0] == counts[299, 299] == counts[299, 1] == counts[7, 299] == 1
