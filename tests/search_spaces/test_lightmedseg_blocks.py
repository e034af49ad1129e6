"""LSPM, texture routing, skip router, adaptive decoder, squeeze-and-excitation."""

import pytest
import torch
from torch.nn.functional import interpolate

from nas.cost.count import count_macs
from search_spaces.blocks.adaptive_decoder import AdaptiveDecoder, AdaptiveMixing
from search_spaces.blocks.conv import four_group_norm
from search_spaces.blocks.lspm import LSPM, TextureRouting
from search_spaces.blocks.resample import resample
from search_spaces.blocks.skip_router import SkipRouter
from search_spaces.blocks.squeeze_excite import SqueezeExcite
from tests.search_spaces.networks import params

DIMS = pytest.mark.parametrize("dims", [2, 3])
SHARES = {"rtol": 0, "atol": 1e-6}


def noise(channels, dims, length=8, batch=2):
    return torch.randn(batch, channels, *range(length, length + 2 * dims, 2))


def zero(conv):
    torch.nn.init.zeros_(conv.weight)
    torch.nn.init.zeros_(conv.bias)


# Published sizes (LightMedSeg, Sec. 3.3 and 3.5): 1 K, 10.5 K, 0.15 K, 11.7 K; 24 K


def test_lspm_has_the_published_sizes():
    lspm = LSPM(3, 8)
    branches = [params(branch) for branch in (lspm.texture, lspm.complexity, lspm.mix)]
    assert branches == [1_033, 10_481, 148]
    assert params(lspm) == 11_662


def test_the_router_has_the_published_size():
    router = SkipRouter(3, [8, 16, 32, 64], 64, [64, 32])
    assert params(router.project) + params(router.control) == 24_644
    assert params(router.release) == 6_240


@pytest.mark.parametrize(("channels", "bottleneck"), [(6, 4), (8, 4), (44, 5), (64, 8)])
def test_the_bottleneck_is_an_eighth_but_at_least_four(channels, bottleneck):
    expected = 2 * channels * bottleneck + bottleneck + channels
    assert params(SqueezeExcite(channels)) == expected


# Shares


@DIMS
def test_the_experts_shares_sum_to_one_and_follow_the_complexity(dims):
    mix = LSPM(dims, 6).mix
    shares = mix.weights(torch.rand(2, 1, *[5] * dims))
    assert shares.shape == (2, 2, *[5] * dims)
    torch.testing.assert_close(shares.sum(1), torch.ones(2, *[5] * dims), **SHARES)
    assert shares.std() > 0


@DIMS
def test_the_routers_shares_sum_to_one_and_differ_by_voxel(dims):
    router = SkipRouter(dims, [4, 6, 10], 8, [6])
    shares = router.weights([noise(8, dims) for _ in range(3)])
    assert shares.shape == (2, 3, *noise(1, dims).shape[2:])
    torch.testing.assert_close(shares.sum(1), torch.ones_like(shares[:, 0]), **SHARES)
    assert shares.flatten(2).std(-1).min() > 0


@DIMS
def test_the_decoders_shares_sum_to_one_and_differ_by_voxel(dims):
    shares = AdaptiveMixing(dims, 6).weights(noise(6, dims))
    assert shares.shape[1] == 3
    torch.testing.assert_close(shares.sum(1), torch.ones_like(shares[:, 0]), **SHARES)
    assert shares.flatten(2).std(-1).min() > 0


# What the shares do


def test_the_experts_are_mixed_by_their_shares():
    mix = LSPM(3, 4).mix
    zero(mix.gate)
    mix.gate.bias.data = torch.tensor([3.0, 1.0]).log()  # shares 3/4 and 1/4
    x, complexity = noise(4, 3), torch.rand(2, 1, 8, 10, 12)
    expected = 0.75 * mix.experts[0](x) + 0.25 * mix.experts[1](x)
    torch.testing.assert_close(mix(x, complexity), expected)


def test_texture_routes_to_the_detail_or_the_smooth_path():
    routing, x = TextureRouting(3, 8), noise(8, 3)
    texture = torch.zeros(2, 1, 8, 10, 12)
    torch.testing.assert_close(routing(x, texture), routing.smooth(x))
    texture[:, :, 4:] = 1
    y = routing(x, texture)
    torch.testing.assert_close(y[:, :, 4:], routing.detail(x)[:, :, 4:])
    torch.testing.assert_close(y[:, :, :4], routing.smooth(x)[:, :, :4])


def test_a_flat_image_has_no_texture_to_tell_places_apart():
    texture = LSPM(3, 8).texture
    values = texture(torch.full((1, 8, 12, 12, 12), 0.7))
    inner = values[..., 3:-3, 3:-3, 3:-3]
    assert inner.std() < 1e-6
    assert ((values >= 0) & (values <= 1)).all()


def test_a_sure_router_hands_on_one_stage():
    router = SkipRouter(3, [4, 6], 8, [6])
    zero(router.control[-1])
    router.control[-1].bias.data = torch.tensor([-100.0, 100.0])
    fine, coarse = torch.randn(1, 4, 8, 8, 8), torch.randn(1, 6, 4, 4, 4)
    expected = router.release[0](
        interpolate(router.project[1](coarse), (8, 8, 8), mode="trilinear")
    )
    torch.testing.assert_close(router([fine, coarse], 0, (8, 8, 8)), expected)


def test_every_encoder_stage_reaches_every_skip():
    router = SkipRouter(3, [4, 6, 8], 8, [8, 4])
    features = [torch.randn(1, c, s, s, s, requires_grad=True) for c, s in ((4, 8), (6, 4), (8, 2))]
    for place, size in enumerate([(4, 4, 4), (6, 4, 2)]):
        skip = router(features, place, size)
        assert skip.shape == (1, [8, 4][place], *size)
        reached = torch.autograd.grad(skip.square().sum(), features)
        assert all(gradient.abs().sum() > 0 for gradient in reached)


def test_the_decoder_mixes_its_paths_by_their_shares():
    mixing, x = AdaptiveMixing(3, 8), noise(8, 3)
    zero(mixing.choose)
    mean = sum(path(x) for path in mixing.paths) / 3
    torch.testing.assert_close(mixing(x), mean)


def test_squeeze_and_excitation_weighs_channels_by_their_means():
    squeeze = SqueezeExcite(4)
    x = noise(4, 3)
    first, _, second, _ = squeeze.excite
    mean = x.mean((2, 3, 4))
    hidden = torch.nn.functional.silu(mean @ first.weight.T + first.bias)
    weights = torch.sigmoid(hidden @ second.weight.T + second.bias)
    torch.testing.assert_close(squeeze(x), x * weights[..., None, None, None])


# The decoder


@DIMS
@pytest.mark.parametrize("mixing", [True, False])
@pytest.mark.parametrize("anchors", [0, 3])
def test_the_decoder_doubles_the_size_and_joins_any_skip(dims, mixing, anchors):
    decoder = AdaptiveDecoder(dims, 10, 6, anchors=anchors, mixing=mixing)
    places = torch.rand(2, anchors, dims) if anchors else None
    x = noise(10, dims, 4)
    skip = torch.randn(2, 6, *(2 * length for length in x.shape[2:]))
    y = decoder(x, skip, places)
    assert y.shape == (2, 6, *skip.shape[2:])
    y.square().sum().backward()
    assert all(p.grad is not None for p in decoder.parameters())


def test_the_decoder_knows_where_the_anchors_are():
    decoder, x, skip = AdaptiveDecoder(3, 4, 4, anchors=2), noise(4, 3, 4), torch.zeros(1)
    skip = skip.expand(2, 4, 8, 12, 16)
    near, far = torch.full((2, 2, 3), 0.1), torch.full((2, 2, 3), 0.9)
    assert not torch.allclose(decoder(x, skip, near), decoder(x, skip, far))


def test_the_decoder_can_keep_the_size():
    decoder = AdaptiveDecoder(3, 8, 4, factor=1)
    assert decoder(noise(8, 3), noise(4, 3)).shape == (2, 4, 8, 10, 12)


@DIMS
def test_one_path_costs_less_than_three(dims):
    with torch.device("meta"):
        three = AdaptiveMixing(dims, 16, "standard")
        one = AdaptiveDecoder(dims, 16, 16, conv="standard", mixing=False).paths
    shape = (1, 16, *[8] * dims)
    # a 3^n depthwise path, the 1^n path, and the 1^n convolution that chooses
    saved = 8**dims * (16 * 3**dims + 16 * 16 + 16 * 3)
    assert count_macs(three, shape) - count_macs(one, shape) == saved


# Odd numbers of channels, other sizes


@pytest.mark.parametrize(("channels", "groups"), [(8, 4), (6, 2), (12, 4), (5, 1)])
def test_norms_have_four_groups_where_four_divide_the_channels(channels, groups):
    assert four_group_norm(channels).num_groups == groups


@DIMS
@pytest.mark.parametrize("channels", [5, 6, 16])
def test_lspm_takes_any_width_and_size(dims, channels):
    x = noise(channels, dims, 3)
    texture, features = LSPM(dims, channels)(x)
    assert texture.shape == (2, 1, *x.shape[2:])
    assert features.shape == x.shape
    assert TextureRouting(dims, channels, "depthwise")(features, texture).shape == x.shape


def test_resampling_is_linear_and_keeps_what_fits():
    x = torch.tensor([0.0, 1.0, 2.0, 3.0]).view(1, 1, 4, 1)
    assert resample(x, (4, 1)) is x
    assert resample(x, (2, 1)).flatten().tolist() == [0.5, 2.5]
    assert resample(x[:, :, :2], (4, 1)).flatten().tolist() == [0.0, 0.25, 0.75, 1.0]
