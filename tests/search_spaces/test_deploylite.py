import pytest
import torch
from torch import nn

from nas.cost.count import cost_of
from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.blocks.halo_windows import HaloWindows
from search_spaces.blocks.light_conv import LightConv, PatchMerging
from search_spaces.blocks.light_tokens import LightTokens
from search_spaces.blocks.mlp import MLP, low_rank_linear
from search_spaces.blocks.pooled_windows import PooledWindows
from search_spaces.blocks.shared_heads import SharedHeads
from search_spaces.blocks.subvoxel_head import SubvoxelHead
from search_spaces.blocks.top_windows import TopWindows
from search_spaces.blocks.windows import Windowed
from search_spaces.deploylite import SPACE, DeployLite, TokenLevel
from search_spaces.networks.deploylite_net import LightFusion
from tests.search_spaces.networks import params

PRESETS = SPACE.presets()


def levels(*tokens, **choices):
    return DeployLite(token_levels=len(tokens), tokens=tokens, **choices)


def influence(module, tokens, size, channels, place):
    """Which of the tokens change with the one at `place`."""
    z = torch.randn(1, tokens, channels)
    moved = z.clone()
    moved[0, place] += 1
    with torch.no_grad():
        difference = (module(moved, size) - module(z, size)).abs().amax(-1)[0]
    return set(difference.gt(1e-6).nonzero().flatten().tolist())


# Low rank


def test_a_factorised_layer_has_its_rank_and_its_parameters():
    layer = low_rank_linear(64, 32, 0.25)
    first, second = layer
    assert torch.linalg.matrix_rank(second.weight @ first.weight) == 8
    assert params(layer) == 8 * (64 + 32) + 32


def test_ratio_one_is_one_full_layer():
    assert isinstance(low_rank_linear(64, 32, 1.0), nn.Linear)
    assert params(MLP(16, 64, 1.0)) == 2 * 16 * 64 + 16 + 64


# Shared heads


def by_hand(attention, z, mask=None):
    """Head by head, with plain matrix products."""
    q = attention.query(z)
    k, v = attention.keys_values(z).chunk(2, dim=-1)
    d = z.shape[-1] // attention.heads
    group = attention.heads // attention.kv_heads
    heads = []
    for head in range(attention.heads):
        own, shared = slice(head * d, (head + 1) * d), head // group
        of_group = slice(shared * d, (shared + 1) * d)
        scores = q[..., own] @ k[..., of_group].transpose(1, 2) / d**0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        heads.append(scores.softmax(-1) @ v[..., of_group])
    return attention.project(torch.cat(heads, dim=-1))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("masked", [False, True])
def test_shared_heads_are_attention_head_by_head(kv_heads, masked):
    attention = SharedHeads(16, 4, kv_heads, rank_ratio=0.25)
    z = torch.randn(2, 5, 16)
    mask = (torch.rand(2, 5, 5) > 0.5) | torch.eye(5, dtype=torch.bool) if masked else None
    torch.testing.assert_close(attention(z, None, mask), by_hand(attention, z, mask))


def test_one_key_and_value_for_all_heads_has_their_parameters_once():
    linear = 64 * 64 + 64
    assert params(SharedHeads(64, 4, kv_heads=4)) == 4 * linear
    assert params(SharedHeads(64, 4, kv_heads=1)) == 2 * linear + (64 * 32 + 32)


@pytest.mark.parametrize(("channels", "heads", "kv_heads"), [(10, 4, 1), (12, 4, 3)])
def test_heads_that_do_not_divide_are_refused(channels, heads, kv_heads):
    with pytest.raises(ValueError, match="do not divide"):
        SharedHeads(channels, heads, kv_heads)


# Windows that overlap, and the few that matter

GRIDS = [(4, 6), (5, 7), (4, 2, 6), (3, 5, 4)]  # which windows of 2 divide, or not


def window_of(size, window=2):
    """The window that each token of the grid is in, (N, axes)."""
    places = torch.cartesian_prod(*map(torch.arange, size))
    return places, places // window


@pytest.mark.parametrize("size", GRIDS)
@pytest.mark.parametrize("halo", [1, 2])
def test_a_window_with_a_halo_is_attention_to_what_lies_in_both(size, halo):
    attention, z = SharedHeads(16, 4, 2), torch.randn(2, len(window_of(size)[0]), 16)
    places, windows = window_of(size)
    low, high = 2 * windows - halo, 2 * windows + 2 + halo  # (N, axes)
    seen = ((places[None] >= low[:, None]) & (places[None] < high[:, None])).all(-1)
    expected = by_hand(attention, z, seen.expand(2, -1, -1))
    torch.testing.assert_close(HaloWindows(attention, 2, halo)(z, size), expected)


@pytest.mark.parametrize("size", GRIDS)
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_all_windows_are_attention_to_all_tokens(size, kv_heads):
    attention, z = SharedHeads(16, 4, kv_heads), torch.randn(2, len(window_of(size)[0]), 16)
    difference = TopWindows(attention, 2, top=1000)(z, size) - attention(z)
    assert difference.abs().max() < 1e-6


@pytest.mark.parametrize("size", GRIDS)
@pytest.mark.parametrize("top", [1, 2, 3])
def test_a_window_attends_to_itself_and_to_the_nearest(size, top):
    torch.manual_seed(0)
    attention, z = SharedHeads(16, 4, 2), torch.randn(1, len(window_of(size)[0]), 16)
    _, windows = window_of(size)
    names, number = windows.unique(dim=0, return_inverse=True)
    q, k = attention.query(z)[0], attention.keys_values(z)[0, :, :8]
    k = k.unflatten(-1, (2, 1, 4)).expand(-1, -1, 2, -1).flatten(1)  # a key for each query's head
    mean = [torch.stack([t[number == w].mean(0) for w in range(len(names))]) for t in (q, k)]
    near = (mean[0] @ mean[1].T).fill_diagonal_(torch.inf)
    chosen = torch.zeros_like(near, dtype=torch.bool).scatter(1, near.topk(top).indices, True)
    expected = by_hand(attention, z, chosen[number][:, number][None])
    torch.testing.assert_close(TopWindows(attention, 2, top)(z, size), expected)


def test_fewer_windows_are_less_work():
    def macs(**choices):
        return cost_of(levels(TokenLevel(window=3, **choices)), 1, 2, (96, 96, 96)).macs

    by_top = [macs(top=k) for k in (2, 4, 8)]
    assert macs(shift=False) < by_top[0] < by_top[1] < by_top[2]
    assert macs(shift=False) < macs(halo=1) < macs(halo=2)


# Exchange across windows


def test_a_grid_window_spreads_over_the_axis():
    grid = Windowed(SharedHeads(8, 2), window=2, dilated=True)
    # 4 x 6 tokens in dilated windows of 2 x 2: every second row and every third column
    assert influence(grid, 24, (4, 6), 8, place=1 * 6 + 2) == {8, 11, 20, 23}


def test_filling_of_a_grid_window_is_not_seen():
    grid = Windowed(SharedHeads(8, 2), window=2, dilated=True)
    # 5 tokens, dilation 3: {0, 3}, {1, 4}, {2}
    assert influence(grid, 5, (5,), 8, place=0) == {0, 3}
    assert influence(grid, 5, (5,), 8, place=4) == {1, 4}
    assert influence(grid, 5, (5,), 8, place=2) == {2}


def test_a_pooled_window_is_seen_by_all_as_its_mean():
    pooled = PooledWindows(SharedHeads(8, 2), window=2)
    z = torch.randn(1, 4 * 4 * 5, 8)
    kv = z.view(4, 4, 5, 8)
    corners = [
        kv[d : d + 2, h : h + 2, w : w + 2].reshape(-1, 8).mean(0)  # clipped at the border
        for d in (0, 2)
        for h in (0, 2)
        for w in (0, 2, 4)
    ]
    attention = pooled.attention
    expected = attention.attend(z, attention.keys_values(torch.stack(corners)[None]))
    torch.testing.assert_close(pooled(z, (4, 4, 5)), expected)


@pytest.mark.parametrize("share_layers", [False, True])
@pytest.mark.parametrize(
    ("exchange", "reached"),
    # place 0 of 8 tokens in windows of 2: its window, its dilated windows' windows, or all
    [("none", {0, 1}), ("grid", {0, 1, 4, 5}), ("pooled", set(range(8)))],
)
def test_only_an_exchange_leaves_the_window(exchange, reached, share_layers):
    tokens = LightTokens(
        8, 2, heads=2, kv_heads=1, window=2, exchange=exchange, share_layers=share_layers
    ).eval()
    x = torch.randn(1, 8, 1, 8)
    moved = x.clone()
    moved[..., 0] += torch.randn(8, 1)[None]
    with torch.no_grad():
        difference = (tokens(moved) - tokens(x)).abs().amax(1).flatten()
    assert set(difference.gt(1e-6).nonzero().flatten().tolist()) == reached


def test_every_two_layers_share_keys_and_values():
    own, shared = (
        LightTokens(32, 3, heads=2, kv_heads=1, window=2, exchange="pooled", share_layers=s)
        for s in (False, True)
    )
    projection = 32 * 32 + 32
    assert params(own) - params(shared) == 4 * projection - 2 * (projection + 2 * 32)


def test_layers_are_gated_layers():
    network = PRESETS["deploylite-s"].build(1, 2)
    # two levels of two layers and an exchange each
    assert sum(isinstance(m, GatedLayer) for m in network.modules()) == 6


# Convolutions, channels last


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("expansion", [1, 2])
def test_a_light_convolution_is_made_of_plain_ones(dims, expansion):
    light = LightConv(dims, 6, expansion)
    x = torch.randn(2, 6, *(4, 5, 6)[:dims])
    pointwise = [m for m in (light.expand, light.project) if m is not None]

    def conv(linear, y):
        shape = linear.weight.shape + (1,) * dims
        kernel = linear.weight.view(shape)
        return (nn.functional.conv2d if dims == 2 else nn.functional.conv3d)(y, kernel, linear.bias)

    y = light.norm(light.depthwise(x))
    if expansion > 1:
        y = conv(pointwise[0], y)
    expected = x + conv(pointwise[-1], nn.functional.silu(y))
    torch.testing.assert_close(light(x), expected)
    assert params(light) == 6 * (3**dims + 1) + 12 + sum(params(m) for m in pointwise)


def test_patch_merging_is_a_strided_convolution():
    merging = PatchMerging(3, 4, 6, factor=2)
    conv = nn.Conv3d(4, 6, 2, stride=2)
    with torch.no_grad():  # the linear layer takes voxels in front of channels
        conv.weight.copy_(merging.project.weight.view(6, 2, 2, 2, 4).movedim(-1, 1))
        conv.bias.copy_(merging.project.bias)
    x = torch.randn(2, 4, 4, 6, 2)
    torch.testing.assert_close(merging(x), merging.norm(conv(x)))


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_the_head_is_a_transposed_convolution(factor):
    head = SubvoxelHead(3, 5, 3, factor)
    conv = nn.ConvTranspose3d(5, 3, factor, stride=factor)
    with torch.no_grad():
        conv.weight.copy_(head.classify.weight.T.reshape(conv.weight.shape))
        conv.bias.zero_()
        head.classify.bias.zero_()
    x = torch.randn(2, 5, 2, 3, 4)
    torch.testing.assert_close(head(x), conv(x))


def test_fusion_by_concatenation_is_a_convolution_of_both():
    fuse = LightFusion(levels(TokenLevel(), width=16, fusion="concat"), 0)
    fuse.unit = nn.Identity()
    conv = nn.Conv3d(16 + 32, 16, 1)
    with torch.no_grad():
        weights = torch.cat([fuse.merge.weight, fuse.lift.weight], dim=1)
        conv.weight.copy_(weights[..., None, None, None])
        conv.bias.copy_(fuse.lift.bias)
    below, skip = torch.randn(1, 32, 2, 1, 3), torch.randn(1, 16, 4, 2, 6)
    repeated = below.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
    expected = conv(torch.cat([skip, repeated], dim=1))
    torch.testing.assert_close(fuse(below, skip), expected)


# The space


@pytest.mark.parametrize(
    ("spelling", "plain"),
    [
        (TokenLevel(window=0, shift=False, exchange="grid"), TokenLevel(window=0)),
        (TokenLevel(depth=1, shift=False), TokenLevel(depth=1)),
        (TokenLevel(halo=1, top=4, shift=False), TokenLevel(halo=1)),
        (TokenLevel(top=4, shift=False), TokenLevel(top=4)),
        (TokenLevel(window=0, halo=1), TokenLevel(window=0)),
    ],
)
def test_choices_of_windows_do_not_matter_where_there_are_none(spelling, plain):
    assert levels(spelling).key == levels(plain).key


def test_choices_of_heads_do_not_matter_where_there_is_one():
    tiny = {"width": 8, "growth": 1.5, "levels": 3}  # 16 channels at its token level
    keys = {
        levels(TokenLevel(), head_width=w, shared_heads=s, **tiny).key
        for w in (16, 32)
        for s in (True, False)
    }
    assert len(keys) == 1
    wide = {"width": 32, "levels": 3}
    assert levels(TokenLevel(), shared_heads=False, **wide).key != levels(TokenLevel(), **wide).key


def test_the_light_network_is_a_quarter_of_the_standard_one():
    light, standard = PRESETS["deploylite-m"], PRESETS["deploylite-standard"]
    for same in ("width", "growth", "levels", "stem_stride", "convs", "mlp_ratio", "head_width"):
        assert getattr(light, same) == getattr(standard, same)
    assert [t.depth for t in light.tokens] == [t.depth for t in standard.tokens]
    costs = [cost_of(a, 1, 4, (96, 96, 96)) for a in (light, standard)]
    assert costs[0].params <= 0.25 * costs[1].params  # the paper's Table 1: 75% fewer
    assert costs[0].macs <= costs[1].macs / 3.5


@pytest.mark.parametrize(
    "cheaper",
    [
        {"conv": "inverted"},
        {"conv": "separable"},
        {"rank_ratio": 0.25},
        {"shared_heads": True},
        {"fusion": "add"},
    ],
)
def test_each_light_choice_saves_parameters_and_work(cheaper):
    tokens = (TokenLevel(window=0),) * 2
    full = {"conv": "standard", "rank_ratio": 1.0, "shared_heads": False, "fusion": "concat"}
    costs = [
        cost_of(levels(*tokens, **choices), 1, 2, (48, 48, 48))
        for choices in (full, full | cheaper)
    ]
    assert costs[1].params < costs[0].params
    assert costs[1].macs < costs[0].macs


def test_windows_save_work_and_no_parameters():
    costs = [
        cost_of(levels(TokenLevel(window=w, exchange="none")), 1, 2, (96, 96, 96)) for w in (0, 3)
    ]
    assert costs[1].params == costs[0].params
    assert costs[1].macs < costs[0].macs


def test_a_size_off_the_stride_is_refused_by_naming_the_stride():
    network = PRESETS["deploylite-xs"].build(1, 2)
    with pytest.raises(ValueError, match=r"multiple of the network's stride, 8$"):
        network(torch.zeros(1, 1, 16, 12, 16))


def test_the_smallest_preset_takes_hippocampus_crops():
    network = PRESETS["deploylite-xs"].build(1, 3)
    assert network(torch.zeros(1, 1, 40, 56, 40)).shape == (1, 3, 40, 56, 40)
