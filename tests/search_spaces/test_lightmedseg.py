"""The published network by component, its variants, and what each choice does."""

import random

import pytest
import torch

from nas.cost.count import cost_of
from search_spaces.blocks.adaptive_decoder import AdaptiveMixing
from search_spaces.blocks.anchors import AnchorDetector, FiLM, PositionBias
from search_spaces.blocks.conv import GhostConv
from search_spaces.blocks.lspm import LSPM, TextureRouting
from search_spaces.blocks.skip_router import SkipRouter
from search_spaces.blocks.squeeze_excite import SqueezeExcite
from search_spaces.lightmedseg import SPACE, LightMedSeg
from search_spaces.space import sample
from tests.search_spaces.networks import params

PRESETS = SPACE.presets()
BRATS = {"in_channels": 4, "out_channels": 4}
SMALL = {"width": [4, 8], "growth": [1.5], "stages": [3, 4]}  # for networks that run


def built(architecture):
    with torch.device("meta"):
        return architecture.build(**BRATS)


def kinds(architecture):
    return {type(module) for module in built(architecture).modules()}


# Published: 4 modalities, 4 classes (LightMedSeg, Tables 1, 3 and 4; components in the text)


def test_the_components_have_the_published_sizes():
    network = built(PRESETS["lightmedseg"])
    film = sum(params(m) for m in network.modules() if isinstance(m, FiLM))
    transposed = sum(params(stage.enter) for stage in network.decoder)
    assert {name: params(part) for name, part in network.named_children()} == {
        "stem": 564,
        "detect": 8_640,
        "prior": 11_662,
        "encoder": 274_244,
        "bottleneck": 4_160,
        "router": 24_644 + 6_240,
        "skips": 216,
        "decoder": 152_380,
        "head": 168,
    }
    assert (film, transposed) == (5_760, 53_496)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("lightmedseg", 482_918),
        ("lightmedseg-standard", 662_414),  # + 13.5 C (C_in - 1) for every convolution
        ("lightmedseg-k16", 492_734),  # + 8 anchors: 3,096 detector, 5,760 FiLM, 960 bias
        ("lightmedseg-k32", 512_366),
    ],
)
def test_presets_have_the_published_sizes(preset, expected):
    assert params(built(PRESETS[preset])) == expected


@pytest.mark.parametrize(("conv", "expected"), [("ghost", 264_098), ("standard", 371_774)])
def test_the_text_alone_gives_less_than_its_tables(conv, expected):
    """One convolution a stage and a depthwise detail path: 0.264 M and 0.372 M by hand."""
    text = LightMedSeg(conv=conv, convs=1, detail="depthwise")
    assert params(built(text)) == expected
    assert (conv == "ghost") == (PRESETS["lightmedseg-text"] == text)


def test_the_published_network_has_the_recomputed_macs():
    cost = cost_of(PRESETS["lightmedseg"], 4, 4, (128, 128, 128))
    assert cost.macs == pytest.approx(9.164e9, rel=0.005)


def test_ghost_convolutions_save_macs():
    ghost, standard = (
        cost_of(PRESETS[name], 4, 4, (64, 64, 64)).macs
        for name in ("lightmedseg", "lightmedseg-standard")
    )
    assert ghost < 0.8 * standard


# Ablations


@pytest.mark.parametrize(
    ("preset", "without"),
    [
        ("lightmedseg-no-lspm", {LSPM, TextureRouting}),
        ("lightmedseg-no-anchors", {AnchorDetector, FiLM, PositionBias}),
        ("lightmedseg-no-router", {SkipRouter}),
        ("lightmedseg-standard", {GhostConv}),
    ],
)
def test_an_ablation_lacks_its_part_and_costs_accordingly(preset, without):
    full, ablated = PRESETS["lightmedseg"], PRESETS[preset]
    assert without <= kinds(full)
    assert not without & kinds(ablated)
    if preset != "lightmedseg-standard":
        a, b = (cost_of(architecture, 4, 4, (32, 32, 32)) for architecture in (ablated, full))
        assert a.params < b.params
        assert a.macs < b.macs


def test_without_the_router_skips_have_the_resolution_of_their_stage():
    """1^3 convolutions from stages 3, 2 and 1 and from the stem: 32 -> 64, 16 -> 32, 8 -> 16."""
    skips = built(PRESETS["lightmedseg-no-router"]).skips
    assert [(s.in_channels, s.out_channels) for s in skips] == [(32, 64), (16, 32), (8, 16), (8, 8)]


@pytest.mark.parametrize(
    ("choice", "part"), [({"mixing": False}, AdaptiveMixing), ({"squeeze": False}, SqueezeExcite)]
)
def test_further_choices_remove_their_part(choice, part):
    assert part in kinds(LightMedSeg())
    assert part not in kinds(LightMedSeg(**choice))


def test_the_prior_reaches_every_stage():
    """The texture map at the stem's resolution changes the deepest features too."""
    torch.manual_seed(0)
    network = LightMedSeg(width=4, stages=3, anchors=0).build(1, 2).eval()
    stage = network.encoder[-1]
    y = torch.randn(1, 8, 4, 4, 4)
    none, full = torch.zeros(1, 1, 16, 16, 16), torch.ones(1, 1, 16, 16, 16)
    assert not torch.allclose(stage(y, None, none), stage(y, None, full))


def test_the_anchors_move_with_the_image_and_get_a_gradient():
    torch.manual_seed(0)
    network = LightMedSeg(width=4, stages=3).build(1, 2)
    x = torch.randn(2, 1, 16, 16, 16)
    network(x).square().mean().backward()
    assert network.detect.mlp[-1].weight.grad.abs().sum() > 0
    first, second = network.detect(x)
    assert not torch.allclose(first, second)


def test_a_head_that_keeps_the_place_is_a_choice_where_there_are_anchors():
    located = LightMedSeg(anchors_head="soft-argmax")
    saved = (8 + 1) * 128 + (128 + 1) * 24 - (8 + 1) * 8
    assert params(built(LightMedSeg())) - params(built(located)) == saved
    assert "anchors_head" not in LightMedSeg().to_json()
    assert LightMedSeg(anchors=0, anchors_head="soft-argmax").key == LightMedSeg(anchors=0).key
    assert located.key != LightMedSeg().key


# The space


def test_presets_are_points_of_the_space():
    for name, point in PRESETS.items():
        assert SPACE.from_json(point.to_json()) == point, name
    assert len({point.key for point in PRESETS.values()}) == len(PRESETS)


def test_the_space_reaches_from_tiny_to_large():
    tiny = LightMedSeg(width=4, growth=1.5, stages=3, convs=1, detail="depthwise", anchors=0)
    large = LightMedSeg(width=24, stages=5, conv="standard", anchors=32)
    assert params(built(tiny)) < 15_000
    assert params(built(large)) > 10_000_000


def test_the_small_preset_takes_crops_of_40_56_40():
    assert 40 % PRESETS["lightmedseg-small"].stride() == 0
    assert 56 % PRESETS["lightmedseg-small"].stride() == 0


@pytest.mark.parametrize(("stages", "stem_stride", "stride"), [(4, 2, 16), (3, 1, 4), (5, 2, 32)])
def test_a_size_off_the_stride_is_refused_by_naming_the_stride(stages, stem_stride, stride):
    point = LightMedSeg(width=4, stages=stages, stem_stride=stem_stride)
    assert point.stride() == stride
    network = point.build(1, 2)
    for axis in range(3):
        size = [stride] * 3
        size[axis] += 2
        with pytest.raises(ValueError, match=rf"multiple of the network's stride, {stride}$"):
            network(torch.zeros(1, 1, *size))


@pytest.mark.parametrize("seed", range(12))
def test_any_point_keeps_its_contract(seed, trial):
    torch.manual_seed(seed)
    point = sample(LightMedSeg, trial(seed), SMALL)
    in_channels, out_channels, batch = 1 + seed % 2, 2 + seed % 3, 1 + seed % 2
    network = point.build(in_channels, out_channels)
    times = random.Random(seed).sample([1, 2, 3], 3)
    x = torch.randn(batch, in_channels, *(point.stride() * t for t in times))

    logits = network.train()(x)
    assert logits.shape == (batch, out_channels, *x.shape[2:])
    logits.square().mean().backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None]
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())

    again = point.build(in_channels, out_channels)
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        first, second, loaded = network.eval()(x), network(x), again.eval()(x)
    assert torch.isfinite(first).all()
    assert torch.equal(first, second)
    assert torch.equal(first, loaded)
