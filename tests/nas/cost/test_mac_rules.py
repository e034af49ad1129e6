"""Hand-worked counts of what either opinion could have wrong."""

import pytest
import torch
from monai.networks.blocks.selfattention import SABlock
from monai.networks.nets.swin_unetr import WindowAttention
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from nas.cost.count import count_macs
from nas.cost.mac_counts import count_twice
from search_spaces.blocks.attention import Attention
from search_spaces.blocks.halo_windows import HaloWindows
from search_spaces.blocks.low_rank import Factors
from search_spaces.blocks.mamba import Mamba
from search_spaces.blocks.pooled_windows import PooledWindows
from search_spaces.blocks.prunable import keep, prunable
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import QueryGate
from search_spaces.blocks.shared_heads import SharedHeads
from search_spaces.blocks.top_windows import TopWindows
from search_spaces.blocks.windows import Windowed
from search_spaces.token_sparse import TokenSparse


class Call(nn.Module):
    """`module` called with more than its input, or otherwise than by one position."""

    def __init__(self, module, call):
        super().__init__()
        self.module, self.call = module, call

    def forward(self, x):
        return self.call(self.module, x)


def on_meta(make):
    with torch.device("meta"):
        return make()


def attended(module, z):
    return module(z, z, z)[0]


def by_name(module, z):
    return module(query=z, value=z, key=z, need_weights=False)[0]


def across(module, z):
    return module(z, z[:, :7, :8], z[:, :7, :6])[0]


MHA = 10 * 12 * 48 + 2 * 10 * 10 * 12  # four projections of 10 tokens of width 12, two products


@pytest.mark.parametrize(
    ("make", "shape", "expected"),
    [
        # inputs x outputs a group x taps, whatever the stride, the padding and what comes out
        (
            lambda: nn.ConvTranspose3d(4, 6, 3, 2, padding=1, output_padding=1, groups=2),
            (1, 4, 5, 6, 7),
            4 * 5 * 6 * 7 * 3 * 27,
        ),
        (lambda: nn.ConvTranspose2d(4, 3, 2, stride=2), (2, 4, 5, 5), 2 * 4 * 25 * 3 * 4),
        (
            lambda: nn.Conv3d(4, 6, 3, padding=2, dilation=2, groups=2),
            (1, 4, 8, 8, 8),
            512 * 6 * 54,
        ),
        (lambda: Call(nn.MultiheadAttention(12, 3, batch_first=True), attended), (1, 10, 12), MHA),
        (lambda: Call(nn.MultiheadAttention(12, 3), attended), (10, 1, 12), MHA),
        (lambda: Call(nn.MultiheadAttention(12, 3, batch_first=True), by_name), (1, 10, 12), MHA),
        # keys of width 8 and values of width 6 for 7 tokens; queries and output of width 12 for 10
        (
            lambda: Call(nn.MultiheadAttention(12, 3, kdim=8, vdim=6, batch_first=True), across),
            (1, 10, 12),
            2 * 10 * 144 + 7 * (8 + 6) * 12 + 2 * 10 * 7 * 12,
        ),
        # windows of 4 x 4 tokens: 4 of them, in each of which 16 look at 16
        (
            lambda: Call(Windowed(Attention(12, 3), 4), lambda m, z: m(z, (8, 8))),
            (1, 64, 12),
            64 * 12 * 48 + 2 * 4 * 16 * 16 * 12,
        ),
        # a grid of 6 x 6 in windows of 4 is filled up to 8 x 8, and the filling is computed
        (
            lambda: Call(Windowed(Attention(12, 3), 4), lambda m, z: m(z, (6, 6))),
            (1, 36, 12),
            64 * 12 * 48 + 2 * 4 * 16 * 16 * 12,
        ),
        # 4 heads of 3 share one key and one value; products are those of 4 heads all the same
        (
            lambda: SharedHeads(12, 4, kv_heads=1),
            (1, 10, 12),
            10 * 12 * (12 + 6 + 12) + 2 * 10 * 10 * 12,
        ),
        # 36 tokens look at 4 windows, two of them clipped at the border along each axis
        (
            lambda: Call(PooledWindows(SharedHeads(12, 4), 4), lambda m, z: m(z, (6, 6))),
            (1, 36, 12),
            36 * 12 * 24 + 4 * 12 * 6 + 2 * 36 * 4 * 12,
        ),
        # the same grid filled up to 4 windows of 16, each with the 6 x 6 tokens that it sees
        (
            lambda: Call(HaloWindows(SharedHeads(12, 4), 4, 1), lambda m, z: m(z, (6, 6))),
            (1, 36, 12),
            64 * 12 * 24 + 36 * 12 * 6 + 2 * 64 * 36 * 12,
        ),
        # 9 windows of 4, each with 3: a mean query and a mean key of width 3 for each to choose by
        (
            lambda: Call(TopWindows(SharedHeads(12, 4), 2, 3), lambda m, z: m(z, (6, 6))),
            (1, 36, 12),
            36 * 12 * 24 + 36 * 12 * 6 + 2 * 36 * 12 * 12 + 9 * 12 * 12 + 9 * 9 * 3,
        ),
        # 4 windows of 16, filled up, and nothing to choose
        (
            lambda: Call(TopWindows(SharedHeads(12, 4), 4, 8), lambda m, z: m(z, (6, 6))),
            (1, 36, 12),
            64 * 12 * 24 + 36 * 12 * 6 + 2 * 64 * 64 * 12,
        ),
        (lambda: SABlock(12, 3), (1, 10, 12), MHA),
        (
            lambda: Call(WindowAttention(12, 3, (2, 2, 2)), lambda m, z: m(z, None)),
            (5, 8, 12),
            5 * (8 * 12 * 48 + 2 * 8 * 8 * 12),
        ),
        # gates of 4 x (input and state) and state, at each of 10 steps, forth and back
        (
            lambda: Call(nn.LSTM(5, 7, batch_first=True, bidirectional=True), lambda m, x: m(x)[0]),
            (1, 10, 5),
            2 * 10 * 4 * 7 * (5 + 7),
        ),
        (lambda: nn.GRUCell(5, 7), (3, 5), 3 * 3 * 7 * (5 + 7)),
    ],
)
def test_both_counts_are_those_of_the_hand_formula(make, shape, expected):
    both = count_twice(on_meta(make), shape, by_module=True)
    assert sum(both.thop.values()) == expected
    assert sum(both.torch.values()) == expected
    assert both.differing() == []


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            HaloWindows(SharedHeads(12, 4), 4, 1),
            64 * 12 * 12 + 36 * 12 * 6 + 2 * 64 * 36 * 6,
        ),
        (
            TopWindows(SharedHeads(12, 4), 2, 3),
            36 * 12 * 12 + 36 * 12 * 6 + 2 * 36 * 12 * 6 + 9 * 12 * 6 + 9 * 9 * 3,
        ),
        # where every head has its own keys and values, they go with it
        (
            TopWindows(SharedHeads(12, 4, kv_heads=4), 2, 3),
            36 * 12 * 12 + 36 * 12 * 12 + 2 * 36 * 12 * 6 + 9 * 12 * 6 + 9 * 9 * 6,
        ),
    ],
)
def test_of_4_heads_the_2_that_are_left_are_counted(block, expected):
    """On a grid of 6 x 6, as above."""
    [heads] = prunable(block).values()
    keep(heads, [0, 1])
    network = Call(block, lambda m, z: m(z, (6, 6))).to("meta")
    both = count_twice(network, (1, 36, 12), by_module=True)
    assert sum(both.torch.values()) == sum(both.thop.values()) == expected


@pytest.mark.parametrize("rank", [None, 6])
def test_the_class_token_asks_with_the_heads_that_are_left(rank):
    point = TokenSparse(
        patch=4, width=48, depth=4, heads=3, mlp_ratio=1, features=4, prune=0.5, places=3,
        sampler="evit",
    )  # fmt: skip
    network = point.build(1, 2).eval()
    for units in prunable(network).values():
        if units.kind == "heads":
            keep(units, [0])
    if rank is not None:
        for layer in network.encoder.layers:
            layer.mixer.qkv = Factors(layer.mixer.qkv, rank)
    both = count_twice(network.to("meta"), (1, 1, 16, 16, 16), by_module=True)
    assert both.differing() == []
    assert both.torch[network.encoder] > 0


@pytest.mark.parametrize("directions", [1, 2])
def test_the_scan_is_counted_once_by_itself(directions):
    """Inner width 24, rank 1, 16 states: what enters and what leaves; of each direction the taps,
    what selects and the step; 9 FLOPs a channel, state and token, two a multiply-accumulate."""
    mamba = on_meta(lambda: Mamba(12, directions=directions))
    both = count_twice(mamba, (1, 10, 12), by_module=True)
    layers = 10 * (12 * 48 + 24 * 12 + directions * (24 * 4 + 24 * (1 + 32) + 1 * 24))
    scan = directions * 9 * 10 * 24 * 16 // 2
    assert dict(both.named) == {"selective_scan": scan}
    assert both.macs == layers + scan
    assert both.differing() == []


@pytest.mark.parametrize(("kept", "asking"), [(1.0, 100), (0.25, 25), (0.0, 0)])
def test_pruned_queries_are_not_counted(kept, asking):
    """100 patches of width 12, 3 heads of 5; the gate is a 1^2 convolution to two classes."""

    class Pruned(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = QueryGate(2, 12)
            self.attention = PrunedAttention(12, 3, 5, queries=self.gate.queries)

        def forward(self, x):
            self.gate(x)
            return self.attention(x.flatten(2).transpose(1, 2))

    both = count_twice(on_meta(Pruned), (1, 12, 10, 10), kept, by_module=True)
    keys_and_values, gate = 2 * 100 * 12 * 15, 100 * 12 * 2
    a_query = 12 * 15 + 2 * 100 * 15 + 15 * 12
    assert both.macs == gate + keys_and_values + asking * a_query
    assert both.differing() == []


class Twice(nn.Module):
    """One linear layer that two parents hold and call, three times in all."""

    def __init__(self):
        super().__init__()
        shared = nn.Linear(6, 6)
        self.a, self.b = nn.Sequential(shared, nn.ReLU(), shared), nn.Sequential(shared)

    def forward(self, x):
        return self.b(self.a(x))


def test_a_shared_module_counts_once_a_call():
    network = on_meta(Twice)
    for _ in range(2):
        assert count_macs(network, (4, 6)) == 3 * 4 * 6 * 6
    assert not network.b[0]._forward_hooks


class Branch(nn.Module):
    """Convolves, and mixes tokens by products that no module holds."""

    def __init__(self):
        super().__init__()
        self.convolve = nn.Conv1d(6, 6, 1)

    def forward(self, x):
        return self.convolve(scaled_dot_product_attention(x[None], x[None], x[None])[0])


@pytest.mark.filterwarnings("ignore:thop and torch differ")
def test_the_larger_count_stands():
    assert count_macs(on_meta(Branch), (1, 6, 8)) == 6 * 6 * 8 + 2 * 6 * 6 * 8


class Told(nn.Module):
    """Counts for itself; what is inside, and torch sees, does not."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(6, 6)

    def forward(self, x):
        return self.inside(x) @ x.mT

    def own_macs(self, x):
        return {"told": 5 * x.shape[1]}


def test_a_module_that_counts_for_itself_is_believed(recwarn):
    both = count_twice(on_meta(lambda: nn.Sequential(Told(), nn.Linear(4, 2))), (1, 4, 6))
    assert both.macs == 5 * 4 + 4 * 4 * 2
    assert dict(both.named) == {"told": 20}
    assert both.agree


def test_a_difference_below_a_thousandth_is_none():
    """A thousandth of 12 x 12 x 64 is 9.2; a product that thop cannot see takes 8."""

    class Small(nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            return y + (x[:2, :2] @ x[:2, :2]).sum()

    both = count_twice(on_meta(lambda: Small(12, 12)), (64, 12))
    assert sum(both.torch.values()) == 64 * 144 + 8
    assert both.agree and both.macs == 64 * 144
