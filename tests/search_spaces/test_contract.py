"""Every space keeps the contract: small presets, a few points. Large ones and 200 points by

pytest -m slow tests/search_spaces/test_contract.py
"""

from itertools import count

import pytest
import torch

from nas.cost.count import cost_of, count_params
from search_spaces.registry import SPACES, all_presets, find_preset
from search_spaces.testing import (
    SMALL,
    anisotropic_point,
    check_architecture,
    check_half_precision,
    check_records,
    random_point,
)
from tests.slow import and_slow

QUICK = 5e7  # multiply-accumulates for the smallest input
QUICK_PRESETS = {  # of at most 8 M parameters, 2e8 multiply-accumulates for the smallest input
    *("hybrid-xs", "hybrid-s", "hybrid-m", "hybrid-l", "hybrid-tokens", "hybrid-pruned"),
    *("hybrid-mamba", "hybrid-adaptive", "hybrid-light", "hybrid-anchors", "hybrid-ghost"),
    *("hybrid-routed", "slimformer3d-tiny", "unetr-tiny", "stp-mta-unetr-tiny", "apformer"),
    *("apformer-unpruned", "apformer-3d", "apformer-xs", "apformer-3d-xs", "lightmedseg"),
    *("lightmedseg-standard", "lightmedseg-k16", "lightmedseg-k32", "lightmedseg-no-lspm"),
    *("lightmedseg-no-anchors", "lightmedseg-no-router", "lightmedseg-text", "lightmedseg-small"),
    *("deploylite-s", "deploylite-m", "deploylite-xs", "unet", "unet-s", "nnunet-s"),
    *("segresnet-s", "unetr-s", "mobile-unet-s"),
}
LARGE_PRESETS = sorted({*all_presets()} - QUICK_PRESETS)
SEEDS = 3
MANY = 200


def smallest_cost(architecture):
    patch = [n * times for n, times in zip(architecture.strides(), SMALL, strict=False)]
    return cost_of(architecture, 2, 3, tuple(patch))


def quick_point(space, seed, draw=random_point):
    """The first of this seed's points that runs in a moment."""
    points = (draw(space, 1000 * seed + i) for i in count())
    return next(point for point in points if smallest_cost(point).macs <= QUICK)


every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@every_space
def test_records(space):
    check_records(space)


@pytest.mark.parametrize("name", and_slow(sorted(QUICK_PRESETS), LARGE_PRESETS))
def test_preset(name):
    check_architecture(find_preset(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE_PRESETS)
def test_large_presets_run_in_bfloat16_too(name, monkeypatch):
    """The others do in `test_preset`. A hundred million weights all alike are there at once."""
    for drawn in ("uniform_", "normal_"):
        monkeypatch.setattr(torch.Tensor, drawn, lambda weights, *_, **__: weights.fill_(0.01))
    preset = find_preset(name)
    network = preset.build(2, 3).eval()
    patch = [n * times for n, times in zip(preset.strides(), SMALL, strict=False)]
    with torch.no_grad():
        check_half_precision(network, torch.ones(1, 2, *patch), 3)


@every_space
@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_point(space, seed):
    check_architecture(quick_point(space, seed))


@every_space
@pytest.mark.parametrize("seed", range(SEEDS))
def test_anisotropic_point(space, seed):
    check_architecture(quick_point(space, seed, anisotropic_point))


@pytest.mark.slow
@every_space
@pytest.mark.parametrize("seed", range(SEEDS, SEEDS + MANY))
def test_many_random_points(space, seed):
    check_architecture(random_point(space, seed))


@every_space
def test_a_point_is_counted_as_it_is_built(space):
    point = quick_point(space, 0)
    assert smallest_cost(point).params == count_params(point.build(2, 3))


def test_a_name_is_one_preset():
    names = [name for space in SPACES.values() for name in space.presets()]
    assert len(names) == len(set(names))


@every_space
def test_a_space_knows_its_published_points(space):
    assert space.presets()
