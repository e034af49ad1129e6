"""Units that are taken out of a network, and the architecture that records what is left."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from nas.cost.count import cost_of
from search_spaces.blocks.low_rank import Factors
from search_spaces.blocks.norms import SpreadGroupNorm
from search_spaces.blocks.prunable import keep, prunable, reading_weights
from search_spaces.compressed import Compressed, compressed
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.networks.shrink import first_of_each, replace_layer
from search_spaces.registry import architecture_record, find_preset, load_architecture
from search_spaces.space import ArchitectureError, axes_of, spatial_dims

XS = find_preset("deploylite-xs")
TOKENS = TokenStage(layers_count=2, layers=(Layer(),) * 2)
ADAPTIVE = replace(TOKENS, mixer="adaptive", prune_queries=True, prune_dependencies=True, grpe=True)
POINTS = {
    "hybrid, concat": Hybrid(
        width=8, growth=2.0, levels=3, convs=2, token_stages=1, tokens=(TOKENS,)
    ),
    "hybrid, add": Hybrid(width=8, growth=1.5, levels=3, skip="add", norm="group"),
    "hybrid, ghost": Hybrid(width=8, growth=2.0, levels=3, conv="ghost", norm="group"),
    "hybrid, adaptive": Hybrid(width=8, growth=2.0, levels=3, token_stages=1, tokens=(ADAPTIVE,)),
    "hybrid, low rank": Hybrid(
        width=8, growth=2.0, levels=3, token_stages=1, tokens=(replace(TOKENS, rank=0.5),)
    ),
    "deploylite": XS,
    "deploylite, inverted": replace(XS, conv="inverted", fusion="concat"),
    "deploylite, standard": replace(
        XS, conv="standard", fusion="concat", shared_heads=False, share_layers=True
    ),
    "deploylite, standard, add": replace(XS, conv="standard", shared_heads=False),
    "apformer": find_preset("apformer-3d-xs"),
}  # fmt: skip
KINDS = {
    "hybrid, concat": {"heads", "neurons", "channels"},
    "hybrid, add": {"channels"},
    "hybrid, ghost": {"channels"},
    "hybrid, adaptive": {"heads", "neurons", "channels"},
    "hybrid, low rank": {"heads", "neurons", "channels"},
    "deploylite": {"heads", "neurons", "channels"},
    "deploylite, inverted": {"heads", "neurons", "channels"},
    "deploylite, standard": {"heads", "neurons", "channels"},
    "deploylite, standard, add": {"heads", "neurons", "channels"},
    "apformer": {"heads", "neurons"},
}


class Apart(SpreadGroupNorm):
    """Scale and shift alone: what a channel becomes depends on no other."""

    def forward(self, x):
        shape = (1, -1, *[1] * (x.dim() - 2))
        return x * self.weight.view(shape) + self.bias.view(shape)


def network_of(point):
    """With random scales and shifts, and no norm over several of its channels."""
    torch.manual_seed(0)
    network = point.build(1, 3).eval()
    for module in network.modules():
        if isinstance(module, SpreadGroupNorm):
            module.__class__ = Apart
    for parameter in network.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, std=0.5)
    return network


def half(units):
    """The last half of every section."""
    each = units.count // units.sections
    left = units.sections * max(1, each // 2)
    shift = each - left // units.sections
    return [unit + shift for unit in first_of_each(units.count, units.sections, left)]


def silence(units, kept):
    """Zero the weights that read all others."""
    for weight, place in reading_weights(units):
        axis = place.axis(made=False)
        length = weight.shape[axis]
        silent = sorted({*range(length)} - {*place.entries(units.count, kept, length)})
        weight.data.index_fill_(axis, torch.tensor(silent, dtype=torch.long), 0.0)


@pytest.mark.parametrize("name", POINTS)
def test_without_a_unit_a_network_computes_what_it_would_with_zeros_where_the_unit_is_read(name):
    network, x = network_of(POINTS[name]), torch.randn(1, 1, 32, 32, 32)
    offered = prunable(network)
    assert {each.kind for each in offered.values()} == KINDS[name]
    for each in offered.values():
        silence(each, half(each))
    with torch.no_grad():
        expected = network(x)
        for path, each in offered.items():
            keep(prunable(network)[path], half(each))
        found = network(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    sizes = {path: len(half(each)) for path, each in offered.items()}
    rebuilt = compressed(POINTS[name], sizes, {}).build(1, 3)
    rebuilt.load_state_dict(network.state_dict())  # shapes are those of the record


def test_what_is_counted_is_less_by_the_work_of_the_units():
    point = POINTS["hybrid, concat"]
    network = point.build(1, 3)
    channels = network.tokens["2"].norm.normalized_shape[0]
    layer = network.tokens["2"].layers[0]
    hidden, heads = layer.mlp.hidden, layer.mixer.heads
    sizes = {
        "tokens.2.layers.0.mlp.neurons": hidden // 2,
        "tokens.2.layers.1.mixer.heads": heads // 2,
    }
    smaller = compressed(point, sizes, {})
    before, after = (cost_of(each, 1, 3, (32, 32, 32)) for each in (point, smaller))
    tokens = (32 // point.divisor(2)) ** 3
    neurons = 2 * channels * (hidden // 2)  # weights into and out of them
    width = channels // heads * (heads - heads // 2)
    projected, compared = 4 * channels * width, 2 * tokens * width
    assert before.macs - after.macs == tokens * (neurons + projected + compared)
    assert before.params - after.params == neurons + hidden // 2 + projected + 3 * width


def test_it_is_written_read_and_an_architecture_like_any_other():
    point = compressed(XS, {"bodies.2.layers.0.mlp.neurons": 8}, {"bodies.0.0.project": 2})
    record = json.loads(json.dumps(architecture_record(point)))
    again = load_architecture(record)
    assert again == point == point.canonical() and again.key == point.key != XS.key
    assert hash(again) == hash(point)
    assert (again.strides(), axes_of(again), spatial_dims(again)) == (XS.strides(), axes_of(XS), 3)
    further = compressed(again, {"bodies.2.layers.0.mlp.neurons": 4}, {})
    assert further.kept == (("bodies.2.layers.0.mlp.neurons", 4),) and further.ranks == point.ranks
    assert compressed(XS, {}, {}) is XS
    with pytest.raises(ArchitectureError, match="key is"):
        load_architecture({**record, "key": XS.key})


def test_a_map_of_lower_rank_is_two_layers_and_counted_so():
    point = compressed(XS, {}, {"bodies.2.layers.0.mixer.mixer.keys_values": 4})
    before, after = (cost_of(each, 1, 3, (32, 32, 32)) for each in (XS, point))
    layer = XS.build(1, 3).get_submodule("bodies.2.layers.0.mixer.mixer.keys_values")
    out, into = layer.weight.shape
    assert before.params - after.params == out * into - 4 * (out + into)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"kept": {"nowhere.neurons": 2}}, "no such units"),
        ({"kept": {"bodies.2.layers.0.mlp.neurons": 10_000}}, "at most 256"),
        ({"ranks": {"bodies.2.norm": 2}}, "no low-rank factors"),
        ({"ranks": {"nowhere": 2}}, "ranks.nowhere"),
        ({"kept": {"bodies.2.layers.0.mlp.neurons": 0}}, "above 0"),
        ({"ranks": [3]}, "expected a mapping"),
        ({"more": {}}, "expected"),
    ],
)
def test_sizes_that_the_network_has_not_are_refused(values, what):
    record = architecture_record(Compressed(original=XS))
    record["architecture"] = {**record["architecture"], **values}
    del record["key"]
    with pytest.raises(ArchitectureError, match=what):
        load_architecture(record).build(1, 3)


def test_one_that_is_compressed_is_no_original():
    inner = architecture_record(Compressed(original=XS))
    record = {"space": "compressed", "architecture": {"original": inner, "kept": {}, "ranks": {}}}
    with pytest.raises(ArchitectureError, match="is compressed"):
        load_architecture(record)


def test_a_pruned_network_still_offers_its_stages_with_their_channels():
    point = POINTS["hybrid, concat"]
    offered = prunable(point.build(1, 3))
    sizes = {path: len(half(each)) for path, each in offered.items() if each.kind == "channels"}
    network = compressed(point, sizes, {}).build(1, 3).eval()
    seen = {}
    for stage, width in network.decoder_stages():
        stage.register_forward_hook(lambda m, _, out, width=width: seen.update({m: (out, width)}))
    network(torch.zeros(1, 1, 32, 32, 32))
    assert seen and all(out.shape[1] == width for out, width in seen.values())


def test_a_map_of_lower_rank_is_filled_on_the_device_of_its_layer():
    """Whatever device is the default: here one that has no values, as a layer's may be a GPU."""
    torch.manual_seed(0)
    layer, inputs = nn.Linear(6, 8), torch.randn(40, 6)
    factors, moments = Factors(layer, 6), inputs.T @ inputs / len(inputs)
    with torch.device("meta"):
        factors.fill(layer, moments)
    torch.testing.assert_close(factors(inputs), layer(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["hybrid, concat", "deploylite, inverted"])
def test_maps_of_lower_rank_are_pruned_like_whole_ones(name):
    network = POINTS[name].build(1, 3)
    ranks = {
        path: 3
        for path, layer in network.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv3d) and getattr(layer, "groups", 1) == 1
        and min(layer.weight.shape[:2]) > 3
    }  # fmt: skip
    for path, rank in ranks.items():
        replace_layer(network, path, Factors(network.get_submodule(path), rank))
    sizes = {}
    for path in prunable(network):
        each = prunable(network)[path]
        keep(each, half(each))
        sizes[path] = len(half(each))
    assert set(sizes) == set(prunable(POINTS[name].build(1, 3)))
    rebuilt = compressed(POINTS[name], sizes, ranks).build(1, 3)
    rebuilt.load_state_dict(network.state_dict())
    assert rebuilt(torch.zeros(1, 1, 32, 32, 32)).shape == (1, 3, 32, 32, 32)
