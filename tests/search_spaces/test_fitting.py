"""Bringing a network into a restricted space."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search_spaces.apformer import APFormer
from search_spaces.fitting import (
    differences,
    fit,
    misfit_of_patch,
    nearest,
    neighbours,
    takes,
)
from search_spaces.hybrid import Hybrid
from search_spaces.registry import SPACES, find_preset
from search_spaces.space import RandomTrial, path_pattern, sample, spatial_dims, to_params
from tests.search_spaces.networks import tokens, with_tokens

SEEDS = st.integers(0, 10**9)
RARELY_TOGETHER = {
    "token_stages": (1,),
    "tokens.layers_count": (2, 3),
    "tokens.layers.gate": ("both", "none"),
    "tokens.prune": (0.5,),
    "tokens.window": (4,),
}


@st.composite
def restricted_spaces(draw, names=tuple(SPACES)):
    """A space, and some options of some of its knobs."""
    space = SPACES[draw(st.sampled_from(names))]
    restrict = {}
    for knob in space.knobs():
        if draw(st.booleans()):
            kept = draw(st.sets(st.sampled_from(knob.options), min_size=1))
            restrict[knob.name] = tuple(o for o in knob.options if o in kept)
    return space, restrict


def is_within(point, space, restrict):
    options = {knob.name: knob.options for knob in space.knobs()} | restrict
    return all(v in options[path_pattern(path)] for path, v in to_params(point).items())


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        (32, (8, 12, 24), 24),
        (6, (8, 4), 8),  # 6/4 = 1.5, 8/6 = 1.33
        (4, (8, 2), 2),  # twice and half: the smaller
        (4, (0, 16), 16),  # some anchors stay some
        (0.25, (0.0, 0.9), 0.9),
        (4, (0,), 0),
        (0, (8, 4), 4),
        (0, (8, 0), 0),
        ("mamba", ("shared", "pool"), "shared"),
        ("mamba", ("shared", "mamba"), "mamba"),
        (True, (False,), False),
    ],
)
def test_the_nearest_option(value, options, expected):
    assert nearest(value, options) == expected


def test_a_number_gets_the_type_of_the_option():
    assert type(nearest(8.0, (8, 4))) is int


@settings(deadline=None, max_examples=60)
@given(restricted_spaces(), SEEDS)
def test_a_fitted_network_is_one_of_the_restricted_space(restricted, seed):
    space, restrict = restricted
    point = sample(space.kind, RandomTrial(seed))
    assert is_within(fit(point, restrict), space, restrict)
    assert is_within(fit(point.canonical(), restrict), space, restrict)


@settings(deadline=None, max_examples=60)
@given(restricted_spaces(), SEEDS)
def test_a_network_within_the_restriction_is_left_as_it_is(restricted, seed):
    space, restrict = restricted
    point = sample(space.kind, RandomTrial(seed), restrict)
    assert fit(point, restrict) == point


@settings(deadline=None, max_examples=60)
@given(restricted_spaces(), SEEDS)
@example((SPACES["hybrid"], RARELY_TOGETHER), 4)
def test_so_is_its_canonical_form_whose_idle_parts_are_gone(restricted, seed):
    space, restrict = restricted
    point = sample(space.kind, RandomTrial(seed), restrict)
    assert fit(point.canonical(), restrict).key == point.key


def test_lists_are_cut_at_their_end():
    point = with_tokens(tokens("both", "mlp", "mixer"), tokens("mlp"))
    fitted = fit(point, {"token_stages": (1,), "tokens.layers_count": (2,)})
    assert fitted == with_tokens(tokens("both", "mlp"))


def test_lists_are_padded_with_what_does_nothing():
    point = with_tokens(tokens("both"))
    fitted = fit(point, {"token_stages": (2,), "tokens.layers_count": (0, 2)})
    assert fitted == with_tokens(tokens("both", "none"), tokens())
    assert fitted.key == point.key


def test_lists_repeat_their_last_part_where_every_part_does_something():
    only = {
        "token_stages": (2,),
        "tokens.layers_count": (3,),
        "tokens.layers.gate": ("both", "mlp"),
    }
    fitted = fit(with_tokens(tokens("both", "mlp"), mixed := tokens("mlp")), only)
    assert fitted.tokens[0] == tokens("both", "mlp", "mlp")
    assert fitted.tokens[1] == tokens("mlp", "mlp", "mlp")
    assert fit(with_tokens(mixed), only).tokens == (fitted.tokens[1],) * 2


def test_a_plain_network_gets_the_tokens_that_there_must_be():
    restrict = {"token_stages": (1,), "tokens.layers_count": (1,), "tokens.layers.gate": ("mlp",)}
    assert fit(Hybrid(), restrict) == with_tokens(tokens("mlp"))


def test_a_network_of_slices_may_have_any_number_of_them():
    assert takes(APFormer(levels=4), (5, 16, 24))
    assert not takes(APFormer(levels=4), (16, 16, 20))
    assert takes(Hybrid(), (8, 8, 16))
    assert not takes(Hybrid(), (8, 8, 8))


@settings(deadline=None, max_examples=30)
@given(restricted_spaces(("hybrid", "slimformer", "baselines")), SEEDS)
def test_neighbours_are_other_networks_of_the_restricted_space(restricted, seed):
    space, restrict = restricted
    point = sample(space.kind, RandomTrial(seed), restrict)
    for path, near in neighbours(point, restrict):
        assert is_within(near, space, restrict)
        assert near.key != point.key
        assert to_params(near)[path] != to_params(point)[path]


def test_a_plain_network_has_a_neighbour_for_every_option_but_its_own():
    only = {"width": (4, 8), "levels": (3, 4, 5), "token_stages": (0,), "conv": ("standard",)}
    rest = ("growth", "stem_stride", "refine", "convs", "residual", "norm", "skip", "decoder")
    rest += ("coarse_logits", "prior", "anchors")
    only |= {name: (getattr(Hybrid(), name),) for name in rest}
    found = [near for _, near in neighbours(Hybrid(), only)]
    assert found == [Hybrid(width=4), Hybrid(levels=4), Hybrid(levels=5)]


def test_differences_are_told_by_knob_and_once():
    before = with_tokens(tokens("both", "both", mlp_ratio=4), width=32)
    after = with_tokens(tokens("mlp", "mlp", mlp_ratio=4), width=24)
    told = ["width 32 -> 24", "tokens.layers.gate both -> mlp"]
    assert differences(before, after) == told
    assert differences(before, fit(before, {"token_stages": (2,)})) == []


def test_networks_of_the_plane_take_a_patch_slice_by_slice():
    plane = find_preset("apformer-xs")
    assert spatial_dims(plane) == 2
    assert misfit_of_patch(plane, (3, 64, 64)) is None
    assert "multiple of" in misfit_of_patch(plane, (3, 60, 64))
    assert "slices are lines" in misfit_of_patch(plane, (64, 64, 1))
    assert misfit_of_patch(find_preset("unet-s"), (64, 64, 64)) is None
