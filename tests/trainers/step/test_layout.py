import torch
from torch import nn

from trainers.step import channels_last, choose_layout
from trainers.step.layout import LAYOUTS, laid_out

CPU = torch.device("cpu")


class OnePass(nn.Sequential):
    """Notes the layouts of its images."""

    def __init__(self):
        super().__init__(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4), nn.Dropout3d(0.5))
        self.seen = []

    def forward(self, images, labels):
        assert labels.shape == (2, 1, 8, 8, 8)
        last = torch.channels_last_3d
        self.seen.append((images.is_contiguous(memory_format=last), self.layout()))
        return super().forward(images).square().mean()

    def layout(self):
        return self[0].weight.is_contiguous(memory_format=torch.channels_last_3d)


def test_both_layouts_are_timed_and_nothing_but_the_layout_is_changed():
    torch.manual_seed(0)
    one_pass = OnePass()
    before = {name: value.clone() for name, value in one_pass.state_dict().items()}
    random = torch.get_rng_state()
    best = choose_layout(one_pass, (2, 2, 8, 8, 8), CPU)
    assert set(one_pass.seen) == {(True, True), (False, False)}
    assert best in LAYOUTS
    assert one_pass.layout() == (best == torch.channels_last_3d)
    for name, value in one_pass.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in one_pass.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_kernels_of_images_and_volumes_are_laid_out():
    network = channels_last(nn.Sequential(nn.Conv2d(2, 2, 3), nn.Conv3d(2, 2, 3)))
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert network[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    laid_out(network, torch.contiguous_format)
    assert all(layer.weight.is_contiguous() for layer in network)
