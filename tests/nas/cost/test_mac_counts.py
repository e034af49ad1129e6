"""thop's count, with our rules, and torch's agree on all that the spaces can build.

500 random points of every space: pytest -m slow tests/nas/cost/test_mac_counts.py
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nas.cost.mac_counts import count_twice
from search_spaces.meta_network import build_on_meta
from search_spaces.registry import SPACES, all_presets, find_preset
from search_spaces.space import spatial_dims
from search_spaces.testing import random_point

FEW, MANY = 15, 500
SIZES = {2: (128, 256), 3: (64, 96, 64)}  # or the next multiple of the stride


def shape_for(architecture, channels=2):
    stride = architecture.stride()
    sizes = SIZES[spatial_dims(architecture)]
    return (1, channels, *(-(-length // stride) * stride for length in sizes))


def check(architecture):
    shape = shape_for(architecture)
    network = build_on_meta(architecture, shape[1], 3)
    for kept in (1.0, 0.3) if gates(network) else (1.0,):
        both = count_twice(network, shape, kept)
        thop, other = sum(both.thop.values()), sum(both.torch.values())
        assert thop == pytest.approx(other, rel=1e-3), (kept, architecture.to_json())
        assert thop > 0


def gates(network):
    return any(hasattr(module, "assumed_kept") for module in network.modules())


@pytest.mark.parametrize("name", all_presets())
def test_both_agree_on_every_preset(name):
    check(find_preset(name))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_both_agree_on_random_points(space):
    for seed in range(FEW):
        check(random_point(space, seed))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_both_agree_on_many_random_points(space):
    for seed in range(FEW, FEW + MANY):
        check(random_point(space, seed))


@pytest.mark.parametrize("name", ["hybrid-tokens", "apformer", "unetr-s", "swin-unetr-s", "unet-s"])
def test_the_second_opinion_is_torch_s_own_counter(name):
    """Remembered operators leave the formulas the same sizes to read."""
    architecture = find_preset(name)
    shape = shape_for(architecture)
    network = build_on_meta(architecture, shape[1], 3).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(shape, device="meta"))
    assert 2 * sum(count_twice(network, shape).torch.values()) == counter.get_total_flops()
