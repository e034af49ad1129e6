import hashlib
import json
import random

import pytest
import torch

from search_spaces.blocks.anchors import AnchorDetector, FiLM, PositionBias
from search_spaces.blocks.conv import GhostConv
from search_spaces.blocks.token_stage import TokenStage as TokenBlock
from search_spaces.hybrid import SPACE, Hybrid, Layer, TokenStage
from search_spaces.space import distributions, sample

SMALL = {"width": [4, 6], "convs": [1, 2]}  # for networks that run: the other knobs stay free


def stage(*gates, mlp_ratio=2, prune=0.0):
    layers = tuple(Layer(gate=gate) for gate in gates)
    return TokenStage(layers_count=len(gates), layers=layers, mlp_ratio=mlp_ratio, prune=prune)


def with_tokens(*stages, **choices):
    return Hybrid(token_stages=len(stages), tokens=stages, **choices)


def params(architecture, in_channels=1, out_channels=2):
    with torch.device("meta"):
        network = architecture.build(in_channels, out_channels)
    return sum(p.numel() for p in network.parameters())


def modules(architecture, kind):
    return [m for m in architecture.build(1, 2).modules() if isinstance(m, kind)]


# Spellings


def test_canonical_is_idempotent_and_keeps_the_key(random_point):
    for seed in range(300):
        point = random_point(seed)
        once = point.canonical()
        assert once.canonical() == once
        assert once.key == point.key


def test_json_gives_the_same_point_and_key_back(random_point):
    for seed in range(300):
        point = random_point(seed)
        loaded = SPACE.from_json(json.loads(json.dumps(point.to_json())))
        assert loaded == point
        assert loaded.key == point.key


def test_its_own_answers_sample_a_point_again(random_point, trial):
    for seed in range(300):
        point = random_point(seed)
        assert sample(Hybrid, trial(answers=distributions(point))) == point


def test_canonical_answers_are_options_of_the_space(random_point, trial):
    for seed in range(100):
        point = random_point(seed).canonical()
        recording = trial(answers=distributions(point))
        assert sample(Hybrid, recording) == point
        assert all(recording.answers[name] in options for name, options in recording.asked.items())


@pytest.mark.parametrize(
    ("spelling", "plain"),
    [
        (with_tokens(stage("none", "both", "none")), with_tokens(stage("both"))),
        (with_tokens(stage("none", "none")), Hybrid()),
        (with_tokens(stage(), stage("none")), Hybrid()),
        (with_tokens(stage("both"), stage("none")), with_tokens(stage("both"))),
        (
            with_tokens(stage("both", "none", "mlp", prune=0.5)),  # two layers: no room to prune
            with_tokens(stage("both", "mlp")),
        ),
        (with_tokens(stage("mixer", mlp_ratio=4)), with_tokens(stage("mixer"))),
        (with_tokens(stage(mlp_ratio=4), stage("both")), with_tokens(stage(), stage("both"))),
        (Hybrid(stem_stride=1, refine=8), Hybrid(stem_stride=1, refine=0)),
    ],
)
def test_two_spellings_of_one_network_are_equal(spelling, plain):
    assert spelling.canonical() == plain.canonical()
    assert spelling.key == plain.key
    assert params(spelling) == params(plain)


@pytest.mark.parametrize(
    "other",
    [
        with_tokens(stage("both", "mlp", "both", prune=0.5)),
        with_tokens(stage("both", "both", "mlp")),
        with_tokens(stage("both", "mlp", "both", mlp_ratio=4)),
        with_tokens(stage(), stage("both", "mlp", "both")),
        with_tokens(stage("both", "mlp", "both"), anchors=4),
    ],
)
def test_different_networks_have_different_keys(other):
    assert other.key != with_tokens(stage("both", "mlp", "both")).key


def test_points_with_one_key_build_one_network(random_point):
    """Over random spellings: the canonical point has the state dict of the spelt one."""
    for seed in range(40):
        point = random_point(seed)
        with torch.device("meta"):
            spelt, plain = point.build(1, 2), point.canonical().build(1, 2)
        shapes = [{k: v.shape for k, v in n.state_dict().items()} for n in (spelt, plain)]
        assert shapes[0] == shapes[1]


def test_an_old_key_still_means_its_network():
    # Written out by hand. Where this fails, checkpoints and studies on disk have lost their names:
    # give a new knob a default that canonical() removes, do not edit this text.
    text = (
        '{"anchors": 8, "conv": "ghost", "convs": 2, "growth": 2.0, "levels": 3, '
        '"norm": "instance", "refine": 4, "residual": true, "skip": "concat", '
        '"space": "hybrid", "stem_stride": 2, "token_stages": 1, "tokens": [{"layers": '
        '[{"gate": "both"}, {"gate": "mlp"}, {"gate": "mixer"}], "layers_count": 3, '
        '"mlp_ratio": 2, "prune": 0.5}], "width": 8}'
    )
    point = with_tokens(stage("both", "mlp", "mixer", prune=0.5), anchors=8, conv="ghost")
    assert point.key == hashlib.sha256(text.encode()).hexdigest()[:10]


# Conditional choices


def test_conditional_choices_are_not_asked_in_vain(trial):
    for seed in range(200):
        recording = trial(seed)
        point = sample(Hybrid, recording)
        assert ("refine" in recording.asked) == (point.stem_stride == 2)
        for i in range(2):
            has_stage = i < point.token_stages
            assert (f"tokens.{i}.mlp_ratio" in recording.asked) == has_stage
            has_room = has_stage and point.tokens[i].layers_count >= 3
            assert (f"tokens.{i}.prune" in recording.asked) == has_room


# The network


def multiples_of(stride, seed):
    """One, two and three strides along the axes, in an order by seed."""
    return [stride * times for times in random.Random(seed).sample([1, 2, 3], 3)]


@pytest.mark.parametrize("seed", range(30))
def test_any_point_keeps_its_contract(seed, trial):
    torch.manual_seed(seed)
    point = sample(Hybrid, trial(seed), SMALL)
    in_channels, out_channels, batch = 1 + seed % 2, 2 + seed % 3, 1 + seed % 2
    network = point.build(in_channels, out_channels)
    x = torch.randn(batch, in_channels, *multiples_of(point.stride(), seed))

    logits = network.train()(x)
    assert logits.shape == (batch, out_channels, *x.shape[2:])
    logits.square().mean().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert not without
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())

    again = point.build(in_channels, out_channels)
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        first, second, loaded = network.eval()(x), network(x), again.eval()(x)
    assert torch.isfinite(first).all()
    assert torch.equal(first, second)
    assert torch.equal(first, loaded)


@pytest.mark.parametrize(("levels", "stem_stride", "stride"), [(3, 2, 8), (3, 1, 4), (5, 2, 32)])
def test_a_size_off_the_stride_is_refused_by_naming_the_stride(levels, stem_stride, stride):
    point = Hybrid(width=4, levels=levels, stem_stride=stem_stride)
    assert point.stride() == stride
    network = point.build(1, 2)
    for axis in range(3):
        size = [stride, stride, stride]
        size[axis] += 2
        with pytest.raises(ValueError, match=rf"multiple of the network's stride, {stride}$"):
            network(torch.zeros(1, 1, *size))


def test_the_space_reaches_from_tiny_to_large():
    tiny = Hybrid(width=4, growth=1.0, convs=1, conv="ghost", residual=False, skip="add", refine=0)
    tokens = stage(*["both"] * 4, mlp_ratio=4)
    large = with_tokens(tokens, tokens, width=32, levels=5, convs=3, anchors=32)
    assert params(tiny) < 10_000
    assert params(large) > 10_000_000


# The four knobs; the deepest level of Hybrid(width=8) has 32 channels

C = 32
STAGE_NORM = 2 * C
MIXER = 2 * C + (3 * C * C + 3 * C) + (C * C + C)
STP = 2 * C + (C * C + C) + (2 * C * (C // 2) + C // 2) + (C // 2 + 1)


def mlp_params(ratio):
    return 2 * C + (ratio * C * C + ratio * C) + (ratio * C * C + C)


@pytest.mark.parametrize(
    ("gates", "added"),
    [
        (["both"], MIXER + mlp_params(2)),
        (["mixer"], MIXER),
        (["mlp"], mlp_params(2)),
        (["both", "mixer", "mlp"], 2 * MIXER + 2 * mlp_params(2)),
    ],
)
@pytest.mark.parametrize("conv", ["standard", "ghost"])
@pytest.mark.parametrize("anchors", [0, 8])
def test_a_gate_adds_the_parameters_of_what_it_keeps(gates, added, conv, anchors):
    plain = Hybrid(width=8, conv=conv, anchors=anchors)
    gated = with_tokens(stage(*gates), width=8, conv=conv, anchors=anchors)
    assert params(gated) - params(plain) == STAGE_NORM + added


def test_the_mlp_ratio_widens_the_mlp_alone():
    narrow, wide = (with_tokens(stage("both", mlp_ratio=r)) for r in (1, 4))
    assert params(wide) - params(narrow) == mlp_params(4) - mlp_params(1)


@pytest.mark.parametrize(("layers", "places"), [(3, 1), (4, 2)])
def test_pruning_adds_a_predictor_and_a_token_a_place(layers, places):
    gates = ["both"] * layers
    full, pruned = (with_tokens(stage(*gates, prune=r)) for r in (0.0, 0.5))
    assert params(pruned) - params(full) == places * (STP + C)


def test_the_ratio_has_no_parameters():
    assert len({params(with_tokens(stage(*["both"] * 4, prune=r))) for r in (0.25, 0.5, 0.9)}) == 1


@pytest.mark.parametrize("anchors", [4, 8, 16, 32])
@pytest.mark.parametrize("conv", ["standard", "ghost"])
def test_anchors_add_detector_film_and_position_bias(anchors, conv):
    detector = (1 * 8 * 27 + 8) + 2 * (8 * 8 * 27 + 8) + 3 * 16
    detector += (8 * 128 + 128) + (128 * 3 * anchors + 3 * anchors)
    film = 2 * 3 * anchors * (8 + 16 + 32)  # every encoder level, no bias
    bias = (anchors + 1) * (16 + 8)  # every decoder level
    added = params(Hybrid(anchors=anchors, conv=conv)) - params(Hybrid(conv=conv))
    assert added == detector + film + bias


@pytest.mark.parametrize("anchors", [0, 16])
def test_ghost_convolutions_have_fewer_parameters(anchors):
    standard, ghost = (Hybrid(conv=c, anchors=anchors) for c in ("standard", "ghost"))
    assert params(ghost) < 0.75 * params(standard)
    assert modules(ghost, GhostConv) and not modules(standard, GhostConv)


def test_a_plain_point_is_a_plain_unet():
    point = Hybrid()
    for kind in (TokenBlock, AnchorDetector, FiLM, PositionBias, GhostConv):
        assert not modules(point, kind)


def test_a_stage_without_layers_builds_nothing():
    point = with_tokens(stage(), stage("both"))
    (only,) = modules(point, TokenBlock)
    assert only.norm.normalized_shape == (16,)  # at the second deepest level


def test_presets_are_points_of_the_space():
    for name, point in SPACE.presets().items():
        assert SPACE.from_json(point.to_json()) == point, name
