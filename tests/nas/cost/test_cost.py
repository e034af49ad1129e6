import math

import pytest
import thop
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from nas.cost.count import Cost, cost_of, count_macs, count_params
from search_spaces.blocks.attention import Attention
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.space import RandomTrial, sample


def macs(make, *shape):
    with torch.device("meta"):
        network = make()
    return count_macs(network, shape)


@pytest.mark.parametrize(
    ("make", "shape", "expected"),
    [
        # outputs x inputs a filter x taps
        (lambda: nn.Conv3d(3, 5, 3, padding=1), (1, 3, 4, 5, 6), 120 * 5 * 3 * 27),
        (lambda: nn.Conv3d(3, 5, 3, stride=2, padding=1), (1, 3, 4, 6, 8), 24 * 5 * 3 * 27),
        (lambda: nn.Conv3d(6, 6, 3, padding=1, groups=6), (1, 6, 4, 4, 4), 64 * 6 * 27),
        (lambda: nn.Conv2d(3, 5, 3), (1, 3, 6, 6), 16 * 5 * 3 * 9),
        # every input voxel meets every tap once: thop says 8 times this
        (lambda: nn.ConvTranspose3d(4, 3, 2, stride=2), (1, 4, 5, 5, 5), 125 * 4 * 3 * 8),
        (lambda: nn.Linear(7, 11), (1, 13, 7), 13 * 7 * 11),
        (lambda: nn.BatchNorm3d(4), (1, 4, 8, 8, 8), 0),
        (lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.SiLU()), (1, 4, 8, 8, 8), 0),
        # projections in and out, then Q K^T and its product with V
        (lambda: Attention(12, 3), (1, 10, 12), 10 * 12 * 48 + 2 * 10 * 10 * 12),
        (
            lambda: nn.TransformerEncoderLayer(12, 3, 20, batch_first=True),
            (1, 10, 12),
            10 * 12 * 48 + 2 * 10 * 10 * 12 + 2 * 10 * 12 * 20,
        ),
    ],
)
def test_macs_are_those_of_the_hand_formula(make, shape, expected):
    assert macs(make, *shape) == expected


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(12, 3, batch_first=True)

    def forward(self, z):
        return self.inner(z, z, z, need_weights=False)[0]


class Products(nn.Module):
    def forward(self, z):
        attended = scaled_dot_product_attention(z[:, None], z[:, None], z[:, None])[:, 0]
        return z @ attended.transpose(1, 2)


def test_multihead_attention_is_counted():
    assert macs(SelfAttention, 1, 10, 12) == 10 * 12 * 48 + 2 * 10 * 10 * 12


def test_functional_products_are_counted_and_named_where_thop_sees_none():
    with pytest.warns(UserWarning, match="differ.* of Products; .*segnas cost .*--audit"):
        assert macs(Products, 1, 10, 12) == 3 * 10 * 10 * 12


def test_macs_grow_with_the_batch():
    assert macs(SelfAttention, 4, 10, 12) == 4 * macs(SelfAttention, 1, 10, 12)


def plain_net():
    return nn.Sequential(
        nn.Conv3d(2, 6, 3, padding=1),
        nn.InstanceNorm3d(6),
        nn.SiLU(),
        nn.Conv3d(6, 8, 3, stride=2, padding=1, groups=2),
        nn.Conv3d(8, 3, 1),
    )


def test_thop_agrees_on_a_plain_convolutional_net():
    # thop counts norms too, and a convolution's bias not at all: leave the norm to it.
    network = plain_net()
    found, params = thop.profile(
        network,
        (torch.zeros(1, 2, 8, 8, 8),),
        custom_ops={nn.InstanceNorm3d: lambda *_: None},
        verbose=False,
    )
    assert macs(plain_net, 1, 2, 8, 8, 8) == found
    assert count_params(network) == params


def test_params_are_the_trainable_ones():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert count_params(network) == 3 * 4 + 4 + 2 * 4
    network[0].bias.requires_grad_(False)
    assert count_params(network) == 3 * 4 + 2 * 4


def test_counting_leaves_the_mode_as_it_was():
    with torch.device("meta"):
        network = plain_net().train()
    count_macs(network, (1, 2, 8, 8, 8))
    assert network.training
    with pytest.raises(RuntimeError):
        count_macs(network, (1, 5, 8, 8, 8))
    assert network.training


def test_counting_leaves_nothing_behind():
    with torch.device("meta"):
        network = plain_net()
    count_macs(network, (1, 2, 8, 8, 8))
    with pytest.raises(RuntimeError):
        count_macs(network, (1, 5, 8, 8, 8))
    for module in network.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks
        assert "total_ops" not in dict(module.named_buffers())
    assert count_macs(network, (1, 2, 8, 8, 8)) == macs(plain_net, 1, 2, 8, 8, 8)


def test_each_part_of_a_network_keeps_its_own_mode():
    with torch.device("meta"):
        network = plain_net().train()
    network[1].eval()
    count_macs(network, (1, 2, 8, 8, 8))
    assert [module.training for module in network] == [True, False, True, True, True]


def test_a_network_with_weights_keeps_them():
    network = plain_net()
    assert count_macs(network, (1, 2, 8, 8, 8)) == macs(plain_net, 1, 2, 8, 8, 8)
    assert all(p.device.type == "cpu" for p in network.parameters())


def test_flops_are_twice_the_macs():
    assert Cost(params=1, macs=21).flops == 42


def test_asking_again_builds_nothing(monkeypatch):
    point = Hybrid(width=6, growth=1.5)
    first = cost_of(point, 3, 5, (16, 16, 16))
    monkeypatch.setattr(Hybrid, "build", lambda *_: pytest.fail("built again"))
    assert cost_of(Hybrid(width=6, growth=1.5), 3, 5, [16, 16, 16]) is first


# A whole point, against a count by hooks on a real forward pass


class HookCounter:
    """Multiply-accumulates by module, from the shapes that really went through."""

    def __init__(self, network):
        self.macs = 0
        for module in network.modules():
            module.register_forward_hook(self.count)

    def count(self, module, inputs, output):
        if isinstance(module, nn.Conv3d):
            taps = math.prod(module.kernel_size)
            self.macs += output.numel() * module.in_channels // module.groups * taps
        elif isinstance(module, nn.ConvTranspose3d):
            self.macs += inputs[0].numel() * module.out_channels * math.prod(module.kernel_size)
        elif isinstance(module, nn.Linear):
            self.macs += output.numel() * module.in_features
        elif isinstance(module, Attention):
            tokens = output.shape[1]
            self.macs += 2 * output.numel() * tokens


WHAT_HOOKS_SEE = {
    "width": [4, 6],
    "levels": [3, 4],
    "skip": ["concat", "add"],
    "decoder": ["residual"],
    "prior": [False],
    "tokens.mixer": ["attention"],
    "tokens.rank": [1.0],
    "tokens.window": [0],
}


@pytest.mark.parametrize("seed", range(12))
def test_the_cost_of_a_point_is_the_sum_of_its_modules(seed):
    point = sample(Hybrid, RandomTrial(seed), WHAT_HOOKS_SEE)
    stride = point.stride()
    patch = (stride, 2 * stride, 3 * stride)
    network = point.build(2, 3).eval()
    counter = HookCounter(network)
    with torch.no_grad():
        network(torch.zeros(1, 2, *patch))
    cost = cost_of(point, 2, 3, patch)
    assert cost.macs == counter.macs
    assert cost.params == sum(p.numel() for p in network.parameters())


def pruned(ratio):
    stage = TokenStage(layers_count=4, layers=(Layer(),) * 4, prune=ratio)
    return cost_of(Hybrid(token_stages=1, tokens=(stage,)), 1, 2, (32, 32, 32)).macs


def test_macs_fall_with_the_pruning_ratio():
    costs = [pruned(ratio) for ratio in (0.25, 0.5, 0.75, 0.9)]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == 4


def test_pruning_saves_what_the_formula_says():
    # Deepest level of width 8: 32 channels, 4^3 tokens; layers see 64, 32, 16 and 64 tokens at 0.5
    # and 64, 16, 4, 64 at 0.75; the second score predictor sees 32 and 16.
    c = 32

    def layer(n):
        return n * 4 * c * c + 2 * n * n * c + n * 2 * 2 * c * c

    def predictor(n):
        return n * (c * c + 2 * c * (c // 2) + c // 2)

    saved = layer(32) + layer(16) + predictor(32) - layer(16) - layer(4) - predictor(16)
    assert pruned(0.5) - pruned(0.75) == saved
