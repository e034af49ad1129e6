import pytest
import torch
from torch import nn

from search_spaces.blocks.conv import ConvUnit, GhostConv, ResidualUnit, make_norm
from tests.search_spaces.networks import params


@pytest.mark.parametrize(("dims", "taps"), [(2, 9), (3, 27)])
def test_a_ghost_convolution_has_half_the_filters_and_a_depthwise_one(dims, taps):
    block = GhostConv(dims, 6, 10)
    assert params(block) == (6 * 5 * taps + 5) + (5 * taps + 5)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_ghost_half_is_made_of_the_primary_half(dims):
    block = GhostConv(dims, 3, 4, stride=2)
    y = block(torch.randn(1, 3, *[7] * dims))
    assert y.shape == (1, 4, *[4] * dims)
    torch.testing.assert_close(block.cheap(y[:, :2]), y[:, 2:])


def test_an_odd_ghost_convolution_is_refused():
    with pytest.raises(ValueError, match="even out_channels, not 5"):
        GhostConv(3, 4, 5)


@pytest.mark.parametrize(
    ("channels", "groups"), [(4, 1), (6, 1), (8, 2), (12, 1), (16, 4), (32, 8)]
)
def test_group_norm_has_at_least_four_channels_a_group(channels, groups):
    norm = make_norm("group", 3, channels)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == groups


@pytest.mark.parametrize("kind", ["instance", "batch", "group"])
def test_every_norm_has_a_scale_and_a_shift(kind):
    assert params(make_norm(kind, 3, 8)) == 16


def test_a_conv_unit_is_convolution_norm_silu():
    unit = ConvUnit(3, 2, 4)
    x = torch.randn(1, 2, 4, 4, 4)
    y = unit[0](x)
    mean, variance = y.mean((2, 3, 4), keepdim=True), y.var((2, 3, 4), correction=0, keepdim=True)
    z = (y - mean) / (variance + 1e-5).sqrt()  # scale 1 and shift 0 at first
    torch.testing.assert_close(unit(x), z * torch.sigmoid(z), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("conv", ["standard", "ghost"])
def test_a_residual_unit_adds_its_shortcut(dims, stride, conv):
    unit = ResidualUnit(dims, 4, 6, stride=stride, conv=conv)
    x = torch.randn(2, 4, *[8] * dims)
    y = unit(x)
    assert y.shape == (2, 6, *[8 // stride] * dims)
    torch.testing.assert_close(y - unit.body(x), unit.shortcut(x))


def test_the_strided_shortcut_is_a_mean_pool_and_a_convolution():
    unit = ResidualUnit(3, 2, 4, stride=2)
    x = torch.randn(1, 2, 4, 4, 4)
    pooled = x.reshape(1, 2, 2, 2, 2, 2, 2, 2).mean((3, 5, 7))
    weight = unit.shortcut[-1].weight.view(4, 2)
    expected = torch.einsum("oc,bcdhw->bodhw", weight, pooled)
    expected = expected + unit.shortcut[-1].bias.view(1, -1, 1, 1, 1)
    torch.testing.assert_close(unit.shortcut(x), expected)


def test_a_shortcut_between_equal_shapes_is_the_identity():
    unit = ResidualUnit(3, 4, 4)
    x = torch.randn(1, 4, 4, 4, 4)
    assert params(unit.shortcut) == 0
    torch.testing.assert_close(unit(x), unit.body(x) + x)


def test_without_residual_the_unit_is_its_body():
    unit = ResidualUnit(3, 4, 6, residual=False, stride=2)
    x = torch.randn(1, 4, 4, 4, 4)
    assert params(unit) == params(unit.body)
    torch.testing.assert_close(unit(x), unit.body(x))


@pytest.mark.parametrize("convs", [1, 2, 3])
def test_convs_counts_the_convolutions(convs):
    unit = ResidualUnit(3, 2, 4, convs=convs, residual=False)
    first, other, norm = 2 * 4 * 27 + 4, 4 * 4 * 27 + 4, 8
    assert params(unit) == first + (convs - 1) * other + convs * norm
