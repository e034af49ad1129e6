import hashlib

import pytest
import torch

from search_spaces.blocks.anchors import AnchorDetector, FiLM, PositionBias
from search_spaces.blocks.conv import GhostConv
from search_spaces.blocks.token_stage import TokenStage as TokenBlock
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.space import sample
from tests.search_spaces.networks import params_of as params
from tests.search_spaces.networks import with_tokens


def stage(*gates, mlp_ratio=2, prune=0.0):
    layers = tuple(Layer(gate=gate) for gate in gates)
    return TokenStage(layers_count=len(gates), layers=layers, mlp_ratio=mlp_ratio, prune=prune)


def modules(architecture, kind):
    return [m for m in architecture.build(1, 2).modules() if isinstance(m, kind)]


# Spellings


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
        assert ("refine" in recording.choices) == (point.stem_stride == 2)
        for i in range(2):
            has_stage = i < point.token_stages
            assert (f"tokens.{i}.mlp_ratio" in recording.choices) == has_stage
            has_room = has_stage and point.tokens[i].layers_count >= 3
            prunes = has_room and point.tokens[i].mixer not in ("adaptive", "pool")
            assert (f"tokens.{i}.prune" in recording.choices) == prunes
            adapts = has_stage and point.tokens[i].mixer == "adaptive"
            for knob in ("prune_queries", "prune_dependencies", "grpe", "regularise"):
                assert (f"tokens.{i}.{knob}" in recording.choices) == adapts
            gated = adapts and point.tokens[i].prune_queries
            assert (f"tokens.{i}.confidence" in recording.choices) == gated


# The network


@pytest.mark.parametrize(("levels", "stem_stride", "stride"), [(3, 2, 8), (3, 1, 4), (5, 2, 32)])
def test_the_stride_is_that_of_the_stem_and_every_level(levels, stem_stride, stride):
    assert Hybrid(levels=levels, stem_stride=stem_stride).stride() == stride


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


# Logits of the first level


def logits_of(network, x):
    """Those of the refinement, and those of the whole head, whose inputs are the same."""
    torch.manual_seed(0)
    y = torch.randn(1, network.head.up.in_channels, *(s // 2 for s in x.shape[2:]))
    head = network.head
    refined = head.classify(head.unit(torch.cat([head.up(y), x], dim=1)))
    return refined, head(y, x), y


def test_coarse_logits_are_added_to_those_of_the_refinement():
    network = Hybrid(coarse_logits=True).build(1, 6).eval()
    refined, both, y = logits_of(network, torch.randn(1, 1, 16, 16, 16))
    assert torch.allclose(both, refined + network.head.coarse(y))
    assert not torch.allclose(both, refined)


def test_they_need_as_many_channels_as_there_are_classes():
    assert Hybrid(coarse_logits=True, width=4).build(1, 6).head.coarse is None
    assert Hybrid(coarse_logits=True, width=4).build(1, 4).head.coarse is not None
    without, narrow = Hybrid(width=4), Hybrid(coarse_logits=True, width=4)
    assert without.build(1, 6).state_dict().keys() == narrow.build(1, 6).state_dict().keys()


@pytest.mark.parametrize("choices", [{"refine": 0}, {"stem_stride": 1}])
def test_without_a_refinement_there_is_nothing_to_add_them_to(choices):
    assert Hybrid(coarse_logits=True, **choices).key == Hybrid(**choices).key


def test_networks_from_before_have_none():
    record = Hybrid().to_json()
    assert "coarse_logits" not in record
    assert not Hybrid.from_json(record).coarse_logits


@pytest.mark.parametrize("mixer", ["pool", "adaptive"])
def test_a_share_that_prunes_nothing_does_not_begin_to_where_no_layer_mixes(mixer):
    idle = TokenStage(layers_count=3, layers=(Layer(gate="mlp"),) * 3, mixer=mixer, prune=0.5)
    assert idle.canonical().prune == 0.0
    assert idle.canonical().mixer == "attention"
