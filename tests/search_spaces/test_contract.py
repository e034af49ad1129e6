"""Every space keeps the contract: small presets, a few points. Large ones and 200 points by

pytest -m slow tests/search_spaces/test_contract.py
"""

from itertools import count

import pytest
import torch

from nas.cost.count import cost_of, count_params
from search_spaces.registry import SPACES, all_presets
from search_spaces.testing import (
    SMALL,
    anisotropic_point,
    check_architecture,
    check_half_precision,
    check_records,
    random_point,
)

LARGE, LONG = 8e6, 2e8  # parameters, multiply-accumulates for the smallest input: seconds
QUICK = 5e7  # multiply-accumulates for the smallest input
SEEDS = 3
MANY = 200


def smallest_cost(architecture):
    patch = [n * times for n, times in zip(architecture.strides(), SMALL, strict=False)]
    return cost_of(architecture, 2, 3, tuple(patch))


def quick_point(space, seed, draw=random_point):
    """The first of this seed's points that runs in a moment."""
    points = (draw(space, 1000 * seed + i) for i in count())
    return next(point for point in points if smallest_cost(point).macs <= QUICK)


def preset_cases():
    for name, preset in all_presets().items():
        cost = smallest_cost(preset)
        slow = cost.params > LARGE or cost.macs > LONG
        yield pytest.param(preset, id=name, marks=[pytest.mark.slow] if slow else [])


every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@every_space
def test_records(space):
    check_records(space)


@pytest.mark.parametrize("preset", list(preset_cases()))
def test_preset(preset):
    check_architecture(preset)


LARGE_PRESETS = [pytest.param(*case.values, id=case.id) for case in preset_cases() if case.marks]


@pytest.mark.slow
@pytest.mark.parametrize("preset", LARGE_PRESETS)
def test_large_presets_run_in_bfloat16_too(preset, monkeypatch):
    """The others do in `test_preset`. A hundred million weights all alike are there at once."""
    for drawn in ("uniform_", "normal_"):
        monkeypatch.setattr(torch.Tensor, drawn, lambda weights, *_, **__: weights.fill_(0.01))
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
