"""A network cut out of shared weights is the network that is exported."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from search_spaces.elastic import refused, scaled
from search_spaces.hybrid import SPACE, Hybrid, Layer, TokenStage
from search_spaces.meta_network import build_on_meta, on_meta
from search_spaces.narrowing import narrow_to_patch
from search_spaces.slimformer import SPACE as SLIMFORMER
from search_spaces.space import ArchitectureError, RandomTrial
from search_spaces.supernet import Supernet
from tests.slow import and_slow

SHAREABLE = {"norm": ["instance", "group"]}
NARROW = {
    **SHAREABLE, "width": [4, 6, 8, 12, 16, 24], "growth": [1.0, 1.5], "levels": [3, 4],
}  # fmt: skip
FEW = {
    **SHAREABLE, "width": [4], "growth": [1.5], "levels": [3], "token_stages": [0],
    "conv": ["standard"], "stem_stride": [2], "residual": [True], "skip": ["add"],
    "decoder": ["residual"],
}  # fmt: skip
PRESETS = SPACE.presets()
IMAGES, CLASSES = 2, 3


@pytest.fixture(scope="module")
def supernet():
    return Supernet(SPACE, NARROW, IMAGES, CLASSES, seed=1)


def points(restrict, count):
    return [SPACE.sample(RandomTrial(seed), restrict) for seed in range(count)]


def image(point, batch=1):
    """The smallest that leaves more than a voxel at the deepest level."""
    depth, *plane = point.strides()
    torch.manual_seed(3)
    return torch.randn(batch, IMAGES, 2 * depth, *plane)


@torch.no_grad()
def same_logits(supernet, point, network):
    x = image(point)
    found, expected = supernet.eval()(point, x), network.eval()(x)
    assert found.shape == (1, CLASSES, *x.shape[2:])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6, msg=lambda m: f"{point}: {m}")


def exported(supernet, point):
    """Built as an export builds it, with the weights loaded that the cut network has."""
    network = point.build(IMAGES, CLASSES)
    network.load_state_dict(supernet.cut(point).state_dict())
    return network


def shapes(network):
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_logits_of_the_exported_network(supernet, name):
    same_logits(supernet, PRESETS[name], exported(supernet, PRESETS[name]))


@pytest.mark.parametrize("count", and_slow([12], [200]))
def test_points_have_the_logits_of_the_network_that_is_cut_out(supernet, count):
    for number, point in enumerate(points(NARROW, count)):
        network = supernet.cut(point)
        if number % 4 == 0:
            assert shapes(network) == shapes(build_on_meta(point, IMAGES, CLASSES)), point
        same_logits(supernet, point, network)


ADAPTIVE = PRESETS["hybrid-adaptive"]


@pytest.mark.parametrize("name", ["hybrid-adaptive", "hybrid-pruned", "hybrid-routed"])
def test_training_passes_and_their_terms_are_the_same(supernet, name):
    point = PRESETS[name]
    network, x = exported(supernet, point).train(), image(point, batch=2)
    target = torch.randint(0, CLASSES, (2, 1, *x.shape[2:]))
    torch.manual_seed(5)  # of the noise that pruning draws
    found = supernet.train()(point, x)
    terms = supernet.auxiliary_losses(point, target)
    torch.manual_seed(5)
    torch.testing.assert_close(found, network(x), rtol=0, atol=1e-5)
    assert set(terms) == ({"gate", "ssa"} if name == "hybrid-adaptive" else set())
    torch.testing.assert_close(terms, network.auxiliary_losses(target), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["hybrid-xs", "hybrid-pruned", "hybrid-light", "hybrid-ghost", "hybrid-routed"]
)
def test_gradients_reach_the_weights_of_the_network_and_no_others(supernet, name):
    point = PRESETS[name]
    network, x = exported(supernet, point).train(), image(point, batch=2)
    supernet.zero_grad()
    for run in (lambda: network(x), lambda: supernet.train()(point, x)):
        torch.manual_seed(5)
        run().square().mean().backward()
    learned = {n: p.grad for n, p in supernet.named_parameters() if p.grad is not None}
    assert len(learned) == len(list(network.parameters()))
    with torch.no_grad():  # the same cut of the gradients is the exported network's gradient
        values = {n: p.clone() for n, p in supernet.named_parameters()}
        for n, p in supernet.named_parameters():
            p.copy_(learned.get(n, torch.zeros_like(p)))
        cut = dict(supernet.cut(point).named_parameters())
        for n, p in supernet.named_parameters():
            p.copy_(values[n])
    own = dict(network.named_parameters())
    for n, gradient in cut.items():
        torch.testing.assert_close(gradient, own[n].grad, rtol=1e-3, atol=1e-6)
    # what is not cut has none: its squares sum to those of the cut
    squares = [
        sum(float(g.detach().square().sum()) for g in of) for of in (learned.values(), cut.values())
    ]
    assert squares[0] == pytest.approx(squares[1], rel=1e-6)
    supernet.zero_grad()


def test_a_frozen_gate_is_frozen_in_the_shared_weights(supernet):
    """Of dependency pruning g is trained from epoch 100 on."""
    frozen = {}
    for epoch in (0, 100):
        supernet.zero_grad()
        supernet.begin_epoch(epoch)
        supernet.train()(ADAPTIVE, image(ADAPTIVE, 2)).mean().backward()
        frozen[epoch] = [
            p.grad is None for n, p in supernet.named_parameters() if "dependencies/g/" in n
        ]
    assert all(frozen[0]) and not all(frozen[100])
    supernet.zero_grad()


WIDE = Hybrid(width=16, growth=1.5, levels=4, convs=2)
WIDTHS = {
    "plain": {},
    "added": {"skip": "add"},
    "routed": {"skip": "routed"},
    "ghost": {"conv": "ghost"},
    "ghost, added": {"conv": "ghost", "skip": "add"},
    "ghost, routed": {"conv": "ghost", "skip": "routed"},
    "anchors": {"anchors": 8},
    "full resolution": {"stem_stride": 1},
    "coarse": {"coarse_logits": True},
    "no shortcut": {"residual": False},
    "no refinement": {"refine": 0},
}


@torch.no_grad()
@pytest.mark.parametrize("kind", WIDTHS)
def test_a_wide_network_whose_other_channels_are_zero_is_the_narrow_one(supernet, kind):
    """So every layer of the narrow one reads what its other layers write, not another channel."""
    wide = replace(WIDE, **WIDTHS[kind])
    narrow = replace(wide, width=8)
    kept = {n: p.clone() for n, p in supernet.named_parameters()}
    marked = used(supernet, narrow)
    try:
        for name, parameter in supernet.named_parameters():
            parameter.mul_(marked[name])
        x = image(wide)
        big, small = (supernet.eval()(point, x) for point in (wide, narrow))
        assert small.std() > 1e-3
        torch.testing.assert_close(big, small, rtol=1e-3, atol=1e-4)
    finally:
        for name, parameter in supernet.named_parameters():
            parameter.copy_(kept[name])


def used(supernet, point):
    """Of every weight of the bank, 1 where the network has it and 0 elsewhere."""
    with torch.enable_grad():
        supernet.zero_grad()
        cut = supernet._weights(supernet._cut(point))
        sum(weight.sum() for weight in cut.values()).backward()
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in supernet.named_parameters()
    }
    supernet.zero_grad()
    return found


def weights_of(supernet, point):
    return supernet.cut(point).state_dict()


def test_levels_convolutions_and_layers_are_shared_from_the_shallow_end(supernet):
    deep, shallow = (Hybrid(levels=n, growth=1.5, convs=c) for n, c in ((4, 3), (3, 2)))
    one, other = weights_of(supernet, deep), weights_of(supernet, shallow)
    for same, name in [
        ("decoder.2.up.weight", "decoder.1.up.weight"),  # both of level 0
        ("decoder.1.unit.body.0.0.weight", "decoder.0.unit.body.0.0.weight"),
        ("encoder.2.unit.body.1.0.weight", "encoder.2.unit.body.1.0.weight"),
        ("head.up.weight", "head.up.weight"),
    ]:
        assert torch.equal(one[same], other[name]), name


def test_attention_is_shared_by_heads_and_among_windows_and_gates(supernet):
    def stage(width, **choices):
        tokens = TokenStage(layers_count=2, layers=(Layer(),) * 2, **choices)
        return Hybrid(width=width, growth=1.0, token_stages=1, tokens=(tokens,))

    name = "tokens.2.layers.0.mixer.qkv.weight"
    whole = weights_of(supernet, stage(16))[name]  # one head of 16
    part = weights_of(supernet, stage(8))[name]  # one head of 8
    for which in range(3):
        assert torch.equal(part[8 * which :][:8], whole[16 * which :][:8, :8])
    windows = weights_of(supernet, stage(16, window=2))
    assert torch.equal(windows["tokens.2.layers.0.mixer.mixer.qkv.weight"], whole)
    pruned = stage(16, mixer="adaptive")
    assert not torch.equal(weights_of(supernet, pruned)[name], whole)


def test_the_largest_and_the_smallest_are_of_a_kind(supernet):
    ghost = replace(PRESETS["hybrid-pruned"], conv="ghost")
    large, small = supernet.largest(ghost), supernet.smallest(ghost)
    assert (large.conv, small.conv) == ("ghost", "ghost")
    assert (large.width, large.growth, large.levels, large.convs) == (24, 1.5, 4, 3)
    assert (small.width, small.growth, small.levels, small.token_stages) == (4, 1.0, 3, 0)
    assert large.tokens[0].prune == 0 and large.tokens[0].layers_count == 4
    pruning = {"token_stages": [1], "tokens.prune": [0.0, 0.5], "tokens.layers_count": [3, 4]}
    pruning |= {"tokens.layers.gate": ["both"], "tokens.mixer": ["attention"]}
    assert scaled(SPACE, pruning, 0.0).tokens[0].prune == 0.5


def test_what_cannot_share_weights_is_refused_by_name():
    assert list(refused(SPACE, {})) == ["norm=batch"]
    assert refused(SPACE, SHAREABLE) == {}
    with pytest.raises(ArchitectureError, match="norm=batch cannot share weights: its running"):
        Supernet(SPACE, {}, IMAGES, CLASSES)
    with pytest.raises(ArchitectureError, match="slimformer: only networks of hybrid"):
        Supernet(SLIMFORMER, {}, IMAGES, CLASSES)


def test_sizes_that_occur_need_no_network_that_is_both_wide_and_deep():
    few = {**FEW, "width": [4, 12], "levels": [3, 5]}
    sizes = [(12, 1.5, 3), (4, 1.5, 5)]
    within, all_sizes = (Supernet(SPACE, few, IMAGES, CLASSES, sizes=s) for s in (sizes, None))
    counts = [sum(p.numel() for p in net.parameters()) for net in (within, all_sizes)]
    assert counts[0] < counts[1] / 3
    for width, growth, levels in sizes:
        point = replace(within.largest(), width=width, growth=growth, levels=levels)
        same_logits(within, point, within.cut(point))
    with pytest.raises(ArchitectureError, match="have less of it"):
        within.cut(all_sizes.largest())


def test_layers_that_only_some_widths_have_are_found():
    """Keys and values of a single head are of low rank, those that heads share are not; and an
    image of as many channels as the first level has no convolution in its shortcut."""
    tokens = {"token_stages": [1], "tokens.layers_count": [1], "tokens.layers.gate": ["both"]}
    tokens |= {"tokens.mixer": ["shared"], "tokens.rank": [0.5], "tokens.window": [0]}
    few = {**FEW, **tokens, "width": [4, 8, 32], "growth": [1.0]}
    for images in (1, 32):
        net = on_meta(partial(Supernet, SPACE, few, images, CLASSES))
        for width in (4, 8, 32):
            point = replace(net.largest(), width=width)
            own = build_on_meta(point, images, CLASSES)
            assert shapes(on_meta(partial(net.cut, point))) == shapes(own), (images, width)


@pytest.mark.parametrize("skip", ["add", "concat"])
def test_a_network_whose_levels_differ_shares_with_a_wider_one_whose_do_not(skip):
    """As where a budget lets a wide network through only if it does not grow."""
    few = {**FEW, "width": [8, 32], "growth": [1.0, 2.0], "skip": [skip]}
    sizes = [(8, 1.0, 3), (8, 2.0, 3), (32, 1.0, 3)]
    net = on_meta(partial(Supernet, SPACE, few, IMAGES, CLASSES, sizes=sizes))
    for width, growth, _ in sizes:
        point = SPACE.sample(RandomTrial(0), {**few, "width": [width], "growth": [growth]})
        own = build_on_meta(point, IMAGES, CLASSES)
        assert shapes(on_meta(partial(net.cut, point))) == shapes(own), (width, growth)


def test_networks_of_another_space_are_refused(supernet):
    for other, found in ({"width": 32}, "less of it"), ({"norm": "batch"}, "none"):
        with pytest.raises(ArchitectureError, match=f"have {found}; expected one of the space"):
            supernet(Hybrid(**other), torch.zeros(1, IMAGES, 16, 16, 16))


def test_the_seed_decides_the_first_weights_and_nothing_else_does():
    state = torch.get_rng_state()
    one, again, other = (Supernet(SPACE, FEW, 1, 2, seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_axes_that_differ_are_those_of_the_space():
    from search_spaces.axes import axes_for

    patch = (16, 64, 64)
    space = SPACE.on(axes_for((5.0, 1.0, 1.0), patch))
    few = {**NARROW, "width": [4, 6], "growth": [1.5], "conv": ["standard"], "residual": [True]}
    restrict = narrow_to_patch(space, few, patch)
    uneven = Supernet(space, restrict, IMAGES, CLASSES)
    for seed in range(10):
        point = space.sample(RandomTrial(seed), restrict)
        same_logits(uneven, point, exported(uneven, point))


@pytest.mark.slow
def test_points_of_the_whole_space_find_their_weights():
    whole = on_meta(partial(Supernet, SPACE, SHAREABLE, IMAGES, CLASSES))
    for point in points(SHAREABLE, 300):
        own = build_on_meta(point, IMAGES, CLASSES)
        assert shapes(on_meta(partial(whole.cut, point))) == shapes(own), point
