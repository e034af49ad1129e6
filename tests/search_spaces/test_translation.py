"""Published networks in the ideas of the hybrid space."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import translation
from search_spaces.apformer import APFormer
from search_spaces.deploylite import DeployLite, TokenLevel
from search_spaces.hybrid import Hybrid
from search_spaces.registry import SPACES, all_presets, find_preset
from search_spaces.slimformer import SlimBlock, SlimFormer, SlimLayer
from search_spaces.space import ArchitectureError, RandomTrial
from search_spaces.testing import check_architecture
from search_spaces.token_sparse import TokenSparse
from search_spaces.translation import translate
from tests.search_spaces.networks import tokens, with_tokens

HYBRID = SPACES["hybrid"]
OTHERS = sorted(set(SPACES) - {"hybrid"})
LIGHTMEDSEG = Hybrid(
    width=8,
    growth=2.0,
    levels=4,
    stem_stride=2,
    refine=0,
    convs=2,
    residual=False,
    conv="ghost",
    norm="group",
    skip="routed",
    decoder="adaptive",
    prior=True,
    anchors=8,
)


def slim(width, levels, *stages):
    return with_tokens(*stages, width=width, levels=levels, refine=0)


MLP_DROP = tokens("both", "mixer", mixer="mamba", window=2, mlp_ratio=4)
MIXER_DROP = tokens("both", "mlp", mixer="mamba", window=2, mlp_ratio=4)
FULL = tokens("both", "both", mixer="mamba", window=2, mlp_ratio=4)
PRUNING = {"prune_queries": True, "prune_dependencies": True}
FOUR = ("both",) * 4


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("lightmedseg", LIGHTMEDSEG),
        ("lightmedseg-k16", replace(LIGHTMEDSEG, anchors=16)),
        ("lightmedseg-standard", replace(LIGHTMEDSEG, conv="standard")),
        ("lightmedseg-no-lspm", replace(LIGHTMEDSEG, prior=False)),
        ("lightmedseg-no-router", replace(LIGHTMEDSEG, skip="concat")),
        ("slimformer3d", slim(32, 3, MLP_DROP, MLP_DROP)),
        ("slimformer3d-mixer-drop", slim(32, 3, MIXER_DROP, MIXER_DROP)),
        (
            "slimformer3d-4b-layer-drop",
            slim(32, 4, tokens("both", mixer="mamba", window=2, mlp_ratio=4), FULL),
        ),
        (
            "slimformer3d-backbone-attention",
            slim(32, 4, *[tokens("both", "both", window=2, mlp_ratio=4)] * 2),
        ),
        ("slimformer3d-tiny", slim(16, 3, MLP_DROP, MLP_DROP)),
        (
            "stp-mta-unetr-r90",
            with_tokens(tokens(*FOUR, prune=0.9, mlp_ratio=4), width=16, levels=4, stem_stride=1),
        ),
        (
            "unetr-tiny",
            with_tokens(tokens(*FOUR, mlp_ratio=2), width=8, levels=4, stem_stride=1),
        ),
        (
            "apformer-3d",
            with_tokens(
                tokens(*FOUR, mixer="adaptive", mlp_ratio=4, grpe=True, **PRUNING),
                width=16,
                levels=4,
                stem_stride=1,
                residual=False,
                norm="batch",
            ),
        ),
        (
            "transunet-pruned",
            with_tokens(
                tokens(*FOUR, mixer="adaptive", mlp_ratio=4, **PRUNING, regularise=False),
                width=16,
                levels=5,
                stem_stride=1,
                norm="batch",
            ),
        ),
        (
            "setr",
            with_tokens(
                tokens(*FOUR, mlp_ratio=4),
                width=16,
                levels=5,
                stem_stride=1,
                convs=1,
                residual=False,
                norm="batch",
                skip="add",
            ),
        ),
        (
            "deploylite-m",  # windows of 3 and 6 tokens, rank 1/4
            with_tokens(
                tokens(*FOUR, mixer="shared", rank=0.25, window=4, mlp_ratio=4),
                tokens("both", "both", mixer="shared", rank=0.25, window=8, mlp_ratio=4),
                width=32,
                levels=4,
                refine=0,
                conv="ghost",
                norm="group",
                skip="add",
            ),
        ),
        ("unet-s", Hybrid(width=8, levels=3, refine=0)),
        ("segresnet-s", Hybrid(width=8, levels=4, stem_stride=1, norm="group", skip="add")),
        (
            "swin-unetr-s",
            with_tokens(
                *[tokens("both", "both", window=8, mlp_ratio=4)] * 2, width=12, levels=5, refine=8
            ),
        ),
    ],
)
def test_the_ideas_of_a_published_network_become_choices(preset, expected):
    assert translate(find_preset(preset), HYBRID) == expected.canonical()


@pytest.mark.parametrize("name", [n for n, a in all_presets().items() if a.space in OTHERS])
def test_every_preset_becomes_a_point_of_the_same_stride_or_half(name):
    preset = find_preset(name)
    point = translate(preset, HYBRID)
    assert point == point.canonical()
    assert Hybrid.from_json(point.to_json()) == point
    assert point.stride() in (preset.stride(), preset.stride() // 2)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(OTHERS), st.integers(0, 10**9))
def test_so_does_every_network(name, seed):
    point = translate(SPACES[name].sample(RandomTrial(seed)), HYBRID)
    assert Hybrid.from_json(point.to_json()) == point == point.canonical()


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["lightmedseg-small", "slimformer3d-tiny", "deploylite-xs"])
def test_what_comes_out_is_a_network_that_trains(preset):
    check_architecture(replace(translate(find_preset(preset), HYBRID), width=4))


def test_tokens_of_four_voxels_have_a_level_more_above_them():
    block = SlimBlock(layers_count=1, layers=(SlimLayer(gate="mlp"),), mlp_ratio=2)
    point = SlimFormer(
        width=24, patch=4, blocks_count=3, blocks=(SlimBlock(layers_count=0),) * 2 + (block,)
    )
    assert translate(point, HYBRID) == slim(12, 4, tokens("mlp", mlp_ratio=2))


def test_a_stem_of_stride_four_is_one_of_two_and_a_level_more():
    level = TokenLevel(depth=1, window=0)
    point = DeployLite(
        width=24, growth=1.5, levels=3, stem_stride=4, token_levels=1, tokens=(level,)
    )
    found = translate(point, HYBRID)
    assert (found.width, found.levels, found.stem_stride, found.growth) == (16, 4, 2, 1.5)
    assert found.stride() == point.stride() == 16


@pytest.mark.parametrize(("places", "layers"), [(1, 3), (2, 4), (3, 4)])
def test_pruning_places_decide_the_layers(places, layers):
    (stage,) = translate(TokenSparse(prune=0.5, places=places), HYBRID).tokens
    assert (stage.layers_count, stage.prune) == (layers, 0.5)


def test_how_sure_a_gate_is_and_the_terms_of_attention_are_kept():
    sure = replace(APFormer(), confidence=0.7, regularise=False)
    (stage,) = translate(sure, HYBRID).tokens
    assert (stage.confidence, stage.regularise) == (0.7, False)
    (plugged,) = translate(APFormer(design="setr"), HYBRID).tokens
    assert not plugged.regularise


def test_attention_that_nothing_adapts_is_plain():
    plain = APFormer(
        position="none", regularise=False, prune_queries=False, prune_dependencies=False
    )
    assert translate(plain, HYBRID).tokens[0].mixer == "attention"


def test_a_network_of_the_space_is_itself():
    assert translate(Hybrid(anchors=4), HYBRID) == Hybrid(anchors=4)


def test_where_there_is_no_translation_the_spaces_are_named():
    with pytest.raises(ArchitectureError) as error:
        translate(Hybrid(), SPACES["slimformer"])
    message = str(error.value)
    assert "a network of hybrid cannot be translated into slimformer" in message
    assert all(name in message for name in OTHERS)


def test_a_space_of_another_package_translates_both_ways(monkeypatch):
    """Here `slimformer` plays that space: it knows its way to and from `baselines`."""

    def own(architecture, name):
        if name == "baselines":
            return find_preset("unet-s")
        return find_preset("slimformer3d-tiny") if architecture.space == "baselines" else None

    mine = replace(SPACES["slimformer"], translate=own)
    monkeypatch.setattr(
        translation, "find_space", lambda name: {**SPACES, "slimformer": mine}[name]
    )
    there = translate(find_preset("slimformer3d"), SPACES["baselines"])
    assert there == find_preset("unet-s")
    assert translate(there, mine) == find_preset("slimformer3d-tiny")
    assert translate(find_preset("slimformer3d-tiny"), HYBRID).width == 16  # as ever


def test_a_translation_into_some_other_space_is_refused(monkeypatch):
    mine = replace(SPACES["slimformer"], translate=lambda *_: find_preset("unet-s"))
    monkeypatch.setattr(translation, "find_space", {"slimformer": mine}.__getitem__)
    with pytest.raises(ArchitectureError, match="translates it into baselines, not hybrid"):
        translate(find_preset("slimformer3d"), HYBRID)
