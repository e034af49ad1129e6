import pytest
import torch
from torch import nn

from nas.cost.count import cost_of
from nas.cost.paper_conventions import CONVENTIONS, published_count
from search_spaces.registry import SPACES, find_preset


def test_the_true_cost_is_told_beside_the_published_one(segnas):
    words = ["cost", "slimformer3d-tiny", "--input", "1x32x32x32", "--classes", "4"]
    told = segnas.json(*words, "--convention", "published")
    tiny = find_preset("slimformer3d-tiny")
    assert told["macs"] == cost_of(tiny, 1, 4, (32, 32, 32)).macs
    assert told["published"]["count"] == published_count(tiny, 1, 4, (32, 32, 32)).most
    assert told["published"]["unit"] == "FLOPs"
    assert "SlimFormer-3D, Tables 1 and 2" in told["published"]["convention"]
    assert "published" not in segnas.json(*words)
    assert "as published: " in segnas.printed(*words, "--convention", "published")


@pytest.mark.parametrize("name", ["hybrid-s", "lightmedseg-small", "deploylite-xs"])
def test_a_space_without_a_known_convention_is_refused(name, segnas):
    side = 2 * find_preset(name).stride()
    words = ["cost", name, "--input", f"1x{side}x{side}x{side}", "--classes", "2"]
    error = segnas.refused(*words, "--convention", "published").replace("\n", " ")
    assert find_preset(name).space in error
    assert "slimformer, baselines, token_sparse, apformer" in error


def test_conventions_are_of_spaces_that_there_are():
    assert CONVENTIONS.keys() <= SPACES.keys()


def by(space, module, *shape):
    rule, x = CONVENTIONS[space].rules[type(module)], torch.zeros(shape)
    return rule(module, (x,), module(x))


def test_the_rules_by_hand():
    up = nn.ConvTranspose3d(2, 3, 2, stride=2)
    outputs = 3 * 8**3  # of an input of 4^3
    assert by("slimformer", up, 1, 2, 4, 4, 4) == outputs * 2 * 8
    assert by("token_sparse", up, 1, 2, 4, 4, 4) == outputs * 2 * 8
    assert by("slimformer", nn.LayerNorm(6), 1, 5, 6) == 4 * 30
    assert by("token_sparse", nn.LayerNorm(6), 1, 5, 6) == 30
    assert by("slimformer", nn.InstanceNorm3d(2, affine=True), 1, 2, 4, 4, 4) == 2 * 128
    assert by("apformer", nn.BatchNorm2d(2), 1, 2, 4, 4) == 2 * 32
    assert by("apformer", nn.Conv2d(2, 3, 1), 1, 2, 4, 4) == 16 * 3 * 2 + 16 * 3
    assert by("apformer", nn.Conv2d(2, 3, 1, bias=False), 1, 2, 4, 4) == 16 * 3 * 2
    assert by("apformer", nn.MaxPool2d(2), 1, 2, 4, 4) == 32
    assert by("apformer", nn.Upsample(scale_factor=2), 1, 2, 4, 4) == 128
    assert nn.LayerNorm not in CONVENTIONS["apformer"].rules
