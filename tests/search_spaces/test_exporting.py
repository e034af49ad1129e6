import torch
from torch import nn

from search_spaces.blocks.exporting import kept
from search_spaces.blocks.grpe import GRPE


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.grpe = GRPE(3, heads=2, reach=3)

    def forward(self, x):
        return x + self.grpe((3, 2, 3))  # of a size that no other test has asked for


def test_what_was_made_for_a_file_is_not_used_afterwards():
    network, x = Positions(), torch.zeros(1, 2, 18, 18)
    first = torch.export.export(network, (x,)).module()(x)
    again = torch.export.export(network, (x,)).module()(x)
    eager = network(x)
    assert torch.equal(first, again)
    assert torch.equal(first, eager)
    assert type(eager) is torch.Tensor


def test_what_is_kept_is_made_once_and_may_be_trained_on():
    made = []

    @kept(2)
    def ones(n):
        made.append(n)
        return torch.ones(n)

    with torch.inference_mode():
        ones(3)
    weight = nn.Parameter(torch.ones(3))
    (weight * ones(3)).sum().backward()
    assert made == [3]
    assert torch.equal(weight.grad, torch.ones(3))
