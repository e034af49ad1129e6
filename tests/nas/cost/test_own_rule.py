"""A block from elsewhere tells what it multiplies itself: nas needs no word of it."""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from nas.cost.audit import audit
from nas.cost.count import cost_of
from nas.cost.mac_counts import count_twice
from search_spaces.space import Architecture, choice


class Gram(nn.Module):
    """x + a map of the channels' products with each other, z z^T z / N of z (B, C, N).

    `inside` is called, and counted apart; the weight of `lent` is used without a call of it.
    """

    def __init__(self, channels):
        super().__init__()
        self.inside = nn.Conv3d(channels, channels, 1)
        self.lent = nn.Linear(channels, channels, bias=False)

    def forward(self, x):
        z = self.inside(x).flatten(2)
        gram = z @ z.mT / z.shape[-1]  # (B, C, C)
        return x + (self.lent.weight @ (gram @ z)).unflatten(2, x.shape[2:])

    def macs_beside_children(self, inputs, output):
        return 3 * output.numel() * output.shape[1]


class Untold(Gram):
    """The same block, which tells nothing."""

    macs_beside_children = None


class GramNet(nn.Sequential):
    def __init__(self, block, in_channels, out_channels):
        super().__init__(
            nn.Conv3d(in_channels, 4, 1), block(4), block(4), nn.Conv3d(4, out_channels, 1)
        )


@dataclass(frozen=True, kw_only=True)
class GramSpace(Architecture):
    """A network of such blocks."""

    space: ClassVar[str] = "gram"

    told: bool = choice(True, False, doc="whether the blocks tell their own products")

    def stride(self):
        return 1

    def build(self, in_channels, out_channels):
        return GramNet(Gram if self.told else Untold, in_channels, out_channels)


VOXELS = 3 * 4 * 5
PRODUCTS = 3 * 4 * 4 * VOXELS  # z z^T, the result with z, the lent weight with that
INSIDE = 4 * 4 * VOXELS
WHOLE = (2 + 3) * 4 * VOXELS + 2 * (INSIDE + PRODUCTS)
PATCH = (3, 4, 5)


def test_both_counts_are_right_and_no_one_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cost_of(GramSpace(), 2, 3, PATCH).macs == WHOLE


@pytest.mark.parametrize("batch", [1, 2])
def test_a_batch_counts_as_often(batch):
    with torch.device("meta"):
        network = GramNet(Gram, 2, 3)
    both = count_twice(network, (batch, 2, *PATCH), by_module=True)
    assert sum(both.thop.values()) == sum(both.torch.values()) == batch * WHOLE
    assert both.differing() == []


def test_the_audit_has_a_row_for_the_block_s_own_products():
    rows = {
        row.where: (row.kind, row.thop, row.torch) for row in audit(GramSpace(), 2, 3, PATCH).rows
    }
    assert rows["1"] == rows["2"] == ("Gram", PRODUCTS, PRODUCTS)
    assert rows["1.inside"] == ("Conv3d", INSIDE, INSIDE)


def test_without_the_rule_the_counts_differ_and_the_warning_says_what_to_do():
    with pytest.warns(UserWarning, match="of Untold; .*macs_beside_children"):
        cost_of(GramSpace(told=False), 2, 3, PATCH)
