"""The prior of a space: usual options, and the plain network of them."""

import random
from collections import Counter

import pytest

from search_spaces.hybrid import SPACE, Hybrid
from search_spaces.prior import PriorTrial, plain_network, prior_for
from search_spaces.registry import SPACES, find_space

DRAWS = 2000


def drawn(options, prior=None, usual=0.5):
    rng = random.Random(0)
    trial = PriorTrial(SPACE, rng, prior, usual)
    found = Counter(trial.suggest_categorical("conv", options) for _ in range(DRAWS))
    return {option: count / DRAWS for option, count in found.items()}


def test_the_default_is_drawn_half_of_the_time():
    assert drawn(("standard", "ghost"))["standard"] == pytest.approx(0.5, abs=0.05)
    widths = Counter()
    trial = PriorTrial(SPACE, random.Random(0))
    options = next(knob.options for knob in SPACE.knobs() if knob.name == "width")
    for _ in range(DRAWS):
        widths[trial.suggest_categorical("width", options)] += 1
    assert widths[8] / DRAWS == pytest.approx(0.5, abs=0.05)
    assert widths[32] / DRAWS == pytest.approx(0.5 / 6, abs=0.03)


def test_a_prior_of_ones_own_takes_the_place_of_the_default():
    assert drawn(("standard", "ghost"), {"conv": "ghost"}, 0.9)["ghost"] == pytest.approx(
        0.9, abs=0.05
    )


def test_where_the_usual_option_is_left_out_the_nearest_is_usual():
    trial = PriorTrial(SPACE, random.Random(0), usual=1.0)
    assert trial.suggest_categorical("width", (4, 12, 32)) == 12
    assert trial.suggest_categorical("tokens.1.prune", (0.5, 0.9)) == 0.5


def test_the_plain_network_of_hybrid_has_what_is_usual():
    assert plain_network(SPACE, {}) == Hybrid(coarse_logits=True)
    assert plain_network(SPACE, {"width": (16, 24)}).width == 16
    ghost = plain_network(SPACE, {}, {"conv": "ghost", "coarse_logits": False})
    assert ghost == Hybrid(conv="ghost")


def test_many_classes_want_as_many_channels():
    assert prior_for(SPACE, 3) == prior_for(SPACE, 4) == {}
    assert prior_for(SPACE, 6) == {"refine": 8}
    assert prior_for(SPACE, 14) == {"refine": 8}  # there are no more
    assert prior_for(find_space("apformer"), 14) == {}


@pytest.mark.parametrize("name", list(SPACES))
def test_every_space_has_a_plain_network(name):
    space = find_space(name)
    network = plain_network(space, {})
    assert space.from_json(network.canonical().to_json()).key == network.key
