"""Pictures are told from records; the networks that those records build are the truth."""

from math import prod

import pytest
import torch

from search_spaces.apformer import APFormer
from search_spaces.hybrid import SPACE, Hybrid
from search_spaces.registry import all_presets, find_preset
from search_spaces.space import Architecture, RandomTrial, spatial_dims

SMALL = [
    *(f"hybrid-{name}" for name in ("xs", "l", "pruned", "light", "anchors", "routed")),
    *("slimformer3d-tiny", "unetr-tiny", "stp-mta-unetr-tiny", "apformer-xs", "apformer-3d-xs"),
    *("lightmedseg", "lightmedseg-small", "deploylite-xs", "unet-s", "segresnet-s", "unetr-s"),
    "swin-unetr-s",
]
PLUGGED = {"width": 8, "layers": 2, "heads": 2, "head_channels": 32, "levels": 4}


def maps(architecture):
    """(divisor, channels) of everything that modules gave, as maps or tokens, in one pass."""
    dims, side = spatial_dims(architecture), max(2 * architecture.stride(), 32)
    network, seen = architecture.build(1, 3).eval(), set()

    def look(module, inputs, output):
        for y in output if isinstance(output, tuple | list) else [output]:
            if isinstance(y, torch.Tensor) and y.ndim > 2:
                shapes = [(y.shape[1], y.shape[2:]), (y.shape[-1], y.shape[1:-1])]
                for channels, positions in shapes:
                    ratio = (side**dims / prod(positions)) ** (1 / dims)
                    seen.add((round(ratio, 6), channels))

    for module in network.modules():
        module.register_forward_hook(look)
    with torch.no_grad():
        network(torch.zeros(1, 1, *[side] * dims))
    return seen


@pytest.mark.parametrize("name", SMALL)
def test_a_picture_shows_maps_that_the_network_computes(name):
    architecture = find_preset(name)
    shown = {(stage.divisor, stage.channels) for stage in architecture.picture()}
    assert shown <= maps(architecture)


@pytest.mark.parametrize("design", ["setr", "transunet"])
def test_so_does_that_of_a_plugged_network(design):
    architecture = APFormer(design=design, **PLUGGED)
    shown = {(stage.divisor, stage.channels) for stage in architecture.picture()}
    assert shown <= maps(architecture)


@pytest.mark.parametrize("seed", range(5))
def test_so_do_those_of_random_networks(seed):
    restrict = {"width": [4, 6], "levels": [3], "growth": [1.0, 1.5]}
    architecture = SPACE.sample(RandomTrial(seed), restrict)
    shown = {(stage.divisor, stage.channels) for stage in architecture.picture()}
    assert shown <= maps(architecture)


@pytest.mark.parametrize("name", all_presets())
def test_every_preset_has_a_way_down_and_a_way_up(name):
    stages = find_preset(name).picture()
    sides = [stage.side for stage in stages]
    assert sides == sorted(sides)  # down, then up
    assert set(sides) == {"down", "up"}
    ups = [stage.divisor for stage in stages if stage.side == "up"]
    assert ups == sorted(ups, reverse=True)


def test_gates_pruning_and_anchors_are_in_the_picture():
    deepest = find_preset("hybrid-pruned").picture()[2]
    assert deepest.layers == ["both", "both", "both"]
    assert "drops 50% of tokens" in deepest.holds
    assert "FiLM by 8 anchors" in Hybrid(anchors=8).picture()[0].holds
    assert "2 ghost convs" in Hybrid(conv="ghost").picture()[0].holds


def test_routed_skips_are_all_but_the_shallowest():
    ups = [s for s in Hybrid(skip="routed").picture() if s.name == "decoder"]
    assert [(stage.divisor, stage.skip) for stage in ups] == [(4, "routed"), (2, "concat")]


def test_a_space_that_tells_nothing_has_an_empty_picture():
    class Silent(Architecture):
        space = "silent"

    assert list(Silent().picture()) == []
