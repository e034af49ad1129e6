from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from search_spaces.hybrid import Hybrid
from tests.trainers.test_trainer import SHORT, figures, run
from tests.trainers.test_trainer import trainer as plain_trainer
from trainers.checkpoint import read_checkpoint
from trainers.deep_supervision import DeepSupervision, reduced
from trainers.errors import UserError
from trainers.losses import segmentation_loss
from trainers.offers import decoder_stages

POINT = Hybrid(width=4, growth=2.0, levels=4, convs=1, anchors=0, norm="group")


def hybrid(stem_stride=1):
    torch.manual_seed(1)
    return replace(POINT, stem_stride=stem_stride).build(1, 4)


def trainer(phantom, checkpoint=None, ema=0.0):
    net, config = hybrid(), SHORT.model_copy(update={"ema": ema})
    torch.manual_seed(0)  # that of the training
    term = DeepSupervision(net, 4, segmentation_loss())
    return plain_trainer(phantom, config, net, checkpoint, terms=[term]), term


@pytest.mark.parametrize(("stem_stride", "sizes"), [(1, [8, 4]), (2, [8, 4, 2])])
def test_the_stages_are_those_coarser_than_the_logits_the_finest_first(stem_stride, sizes):
    net = hybrid(stem_stride)
    stages = decoder_stages(net)
    seen = {}
    for stage, _ in stages:
        stage.register_forward_hook(lambda m, _, y: seen.__setitem__(m, tuple(y.shape)))
    net(torch.zeros(1, 1, 16, 16, 16))
    assert [seen[stage] for stage, _ in stages] == [
        (1, width, size, size, size) for (_, width), size in zip(stages, sizes, strict=True)
    ]


def test_losses_weigh_half_as_much_stage_by_stage_and_one_together():
    net = hybrid()

    def constant(logits, labels):  # 10 for the 8^3 stage, 100 for the 4^3 stage
        return torch.tensor({8: 10.0, 4: 100.0}[labels.shape[-1]])

    term = DeepSupervision(net, 4, constant)
    images, labels = torch.zeros(1, 1, 16, 16, 16), torch.zeros(1, 1, 16, 16, 16)
    logits = net.train()(images)
    total = term(torch.tensor(1.0), images, logits, labels)
    assert float(total) == pytest.approx((4 * 1 + 2 * 10 + 1 * 100) / 7)


def test_labels_are_reduced_by_nearest_neighbour():
    labels = np.random.default_rng(0).integers(0, 4, (12, 12, 12)).astype(np.uint8)
    small = reduced(torch.from_numpy(labels)[None, None], torch.zeros(1, 4, 4, 4, 4))
    # Of three voxels the one in the middle.
    expected = ndimage.zoom(labels, 1 / 3, order=0, grid_mode=True, mode="nearest")
    assert small.dtype == torch.uint8
    assert np.array_equal(small[0, 0].numpy(), expected)


def test_heads_are_trained_and_no_part_of_the_saved_weights(phantom, tmp_path):
    training, term = trainer(phantom, tmp_path / "a.pt")
    before = [head.weight.detach().clone() for head in term.heads]
    training.run_epoch()
    assert len(term.heads) == 2
    for head, old in zip(term.heads, before, strict=True):
        assert head.weight.grad.abs().sum() > 0
        assert not torch.equal(head.weight, old)
    saved = read_checkpoint(tmp_path / "a.pt")
    assert saved["weights"].keys() == hybrid().state_dict().keys()
    assert saved["training"]["terms"].keys() == {
        f"0.heads.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")
    }


def test_going_on_is_like_never_having_stopped_with_an_average_too(phantom, tmp_path):
    whole, _ = trainer(phantom, ema=0.9)
    expected = run(whole)
    stopped, _ = trainer(phantom, tmp_path / "a.pt", ema=0.9)
    first = stopped.run_epoch()
    resumed, _ = trainer(phantom, tmp_path / "a.pt", ema=0.9)
    reports = [first, *run(resumed)]
    assert str([r.loss for r in reports]) == str([r.loss for r in expected])
    for name, weight in whole.deployed.state_dict().items():
        assert torch.equal(resumed.deployed.state_dict()[name], weight)


def test_validation_keeps_nothing_of_the_stages(phantom):
    training, term = trainer(phantom, ema=0.9)
    training.validate()
    training.network.eval()(torch.zeros(1, 1, 16, 16, 16))
    assert term._seen == [None, None]


def test_a_recipe_that_has_it_trains_with_the_same_heads(phantom):
    expected = figures(run(trainer(phantom)[0]))
    recipe = SHORT.model_copy(update={"deep_supervision": True})
    assert figures(run(plain_trainer(phantom, recipe, hybrid()))) == expected
    plain = figures(run(plain_trainer(phantom, net=hybrid())))
    assert expected[0][1] != plain[0][1]


def test_its_heads_are_those_of_the_seed_whatever_was_drawn_before(phantom):
    recipe = SHORT.model_copy(update={"deep_supervision": True})

    def loss(drawn):
        net = hybrid()
        torch.rand(drawn)
        return plain_trainer(phantom, recipe, net).run_epoch().loss

    assert loss(1) == loss(0)


def test_a_recipe_that_has_it_trains_networks_without_coarser_stages_as_before(phantom):
    recipe = SHORT.model_copy(update={"deep_supervision": True})
    found, expected = (figures(run(plain_trainer(phantom, r))) for r in (recipe, SHORT))
    assert str(found) == str(expected)


def test_a_network_without_coarser_stages_is_refused():
    net = nn.Conv3d(1, 4, 1)
    with pytest.raises(UserError, match=r"has no decoder stages coarser.*deep_supervision=false"):
        DeepSupervision(net, 4, segmentation_loss())
