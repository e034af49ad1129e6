import json
from dataclasses import replace

import pytest
import torch

from nas.cost.count import cost_of
from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.slimformer import SPACE, SlimBlock, SlimFormer, SlimLayer, presets
from search_spaces.space import sample, to_params

# SlimFormer-3D, Table 1 (input 1x96^3, 4 classes): the published architecture's parameters in
# millions, and its GFLOPs (two a multiply-accumulate, every linear layer, without the scan itself).
TABLE_1 = {
    "slimformer3d-backbone-mamba": (71.5002, 166.40),
    "slimformer3d-4b-layer-drop": (69.0579, 165.57),
    "slimformer3d-block-drop": (17.8001, 157.27),
    "slimformer3d-4b-mlp-drop": (69.9284, 158.86),
    "slimformer3d-4b-mixer-drop": (69.8031, 159.24),
    "slimformer3d": (17.4107, 150.13),
    "slimformer3d-mixer-drop": (17.3629, 150.42),
}
SMALL = {"width": [4, 6], "patch": [2], "blocks_count": [2, 3]}


def block(*gates, **choices):
    layers = tuple(SlimLayer(gate=gate) for gate in gates)
    return SlimBlock(layers_count=len(gates), layers=layers, **choices)


def network_of(*blocks, width=6, **choices):
    return SlimFormer(width=width, blocks_count=len(blocks), blocks=blocks, **choices)


def params(architecture):
    with torch.device("meta"):
        network = architecture.build(1, 4)
    return sum(p.numel() for p in network.parameters())


def layers(architecture):
    with torch.device("meta"):
        return [m for m in architecture.build(1, 4).modules() if isinstance(m, GatedLayer)]


# Table 1


@pytest.mark.parametrize("name", TABLE_1)
def test_presets_cost_what_the_paper_s_table_says(name):
    cost = cost_of(presets()[name], 1, 4, (96, 96, 96))
    millions, gflops = TABLE_1[name]
    assert round(cost.params / 1e6, 4) == millions
    without_scan = 2 * (cost.macs - cost.named["selective_scan"]) / 1e9
    assert without_scan == pytest.approx(gflops, rel=0.005)


def test_the_scan_is_counted_by_name():
    """9 L d_inner N FLOPs, two layers a block of 2 * 48 * 2^i inner channels on 48^3 / 8^i."""
    cost = cost_of(presets()["slimformer3d-backbone-mamba"], 1, 4, (96, 96, 96))
    flops = sum(2 * 9 * (48 // 2**i) ** 3 * (96 * 2**i) * 16 for i in range(4))
    assert set(cost.named) == {"selective_scan"}
    assert 2 * cost.named["selective_scan"] == flops
    assert flops / 1e9 == pytest.approx(4.06, abs=0.005)


def test_without_mixers_nothing_is_scanned():
    cost = cost_of(network_of(block("mlp"), block("mlp", "none")), 1, 2, (16, 16, 16))
    assert cost.named == {}


def test_the_presets_are_the_rows_of_the_table():
    gates = {
        name: [[layer.gate for layer in b.layers] for b in presets()[name].blocks]
        for name in TABLE_1
    }
    assert gates["slimformer3d"] == [["both", "mixer"]] * 3  # the MLP of every second layer goes
    assert gates["slimformer3d-mixer-drop"] == [["both", "mlp"]] * 3
    assert gates["slimformer3d-4b-layer-drop"] == [["both", "both"]] * 3 + [["both"]]
    assert gates["slimformer3d-backbone-mamba"] == [["both", "both"]] * 4


# Gates


def test_a_gate_decides_what_is_made():
    gates = network_of(block("both", "mixer"), block("mlp", "none"))
    made = [(layer.mixer is not None, layer.mlp is not None) for layer in layers(gates)]
    assert made == [(True, True), (True, False), (False, True)]


def test_a_pruned_layer_is_skipped():
    """As if it were not there: the same parameters, the same output."""
    spelt, plain = network_of(block("none", "both"), block()), network_of(block("both"), block())
    torch.manual_seed(0)
    one = spelt.build(1, 2).eval()
    torch.manual_seed(0)
    other = plain.build(1, 2).eval()
    x = torch.randn(1, 1, 16, 8, 8)
    assert torch.equal(one(x), other(x))


def test_a_layer_adds_its_parts_to_its_input():
    """Eq. 1 for an MLP-only layer, by hand."""
    network = network_of(block("mlp"), block()).build(1, 2)
    layer, z = network.encoder[0].layers[0], torch.randn(2, 64, 6)
    torch.testing.assert_close(layer(z, (4, 4, 4)), z + layer.mlp(layer.mlp_norm(z)))


# Spellings


@pytest.mark.parametrize(
    ("spelling", "plain"),
    [
        (block("none", "both", "none"), block("both")),
        (block("none", "none", mixer="pool", mlp_ratio=1), block()),
        (block("mlp", mixer="attention", window=0), block("mlp")),
        (block("mixer", mlp_ratio=1), block("mixer")),
        (block("both", mixer="pool", window=4), block("both", mixer="pool")),
        (block(mixer="mamba", window=6, mlp_ratio=2), block()),
    ],
)
def test_two_spellings_of_one_network_are_equal(spelling, plain):
    one, other = network_of(spelling, block("both")), network_of(plain, block("both"))
    assert one.canonical() == other.canonical()
    assert one.key == other.key
    assert params(one) == params(other)


@pytest.mark.parametrize(
    "other",
    [
        block("both", "mlp", window=4),
        block("both", "mlp", mixer="mamba"),
        block("both", "mlp", mlp_ratio=2),
        block("mlp", "both"),
    ],
)
def test_different_networks_have_different_keys(other):
    assert network_of(other, block()).key != network_of(block("both", "mlp"), block()).key


def test_points_are_sampled_written_and_read(trial):
    for seed in range(100):
        point = sample(SlimFormer, trial(seed))
        assert SPACE.from_json(json.loads(json.dumps(point.to_json()))) == point
        assert sample(SlimFormer, trial(answers=to_params(point))) == point
        assert point.canonical().canonical() == point.canonical()
        assert point.canonical().key == point.key


def test_conditional_choices_are_not_asked_in_vain(trial):
    for seed in range(100):
        recording = trial(seed)
        point = sample(SlimFormer, recording)
        for i, b in enumerate(point.blocks):
            assert (f"blocks.{i}.mixer" in recording.choices) == (b.layers_count > 0)
            has_windows = b.layers_count > 0 and b.mixer != "pool"
            assert (f"blocks.{i}.window" in recording.choices) == has_windows


# The network


@pytest.mark.parametrize("seed", range(16))
def test_any_point_trains_and_keeps_its_shape(seed, trial):
    torch.manual_seed(seed)
    point = sample(SlimFormer, trial(seed), SMALL)
    stride, batch = point.stride(), 1 + seed % 2
    network = point.build(1 + seed % 2, 3)
    x = torch.randn(batch, 1 + seed % 2, 2 * stride, stride, stride)
    logits = network(x)
    assert logits.shape == (batch, 3, *x.shape[2:])
    logits.square().mean().backward()
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)

    again = point.build(1 + seed % 2, 3)
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(x), network.eval()(x))


@pytest.mark.parametrize("kind", ["summary_mamba", "mamba", "attention"])
@pytest.mark.parametrize("window", [0, 2, 4, 6])
def test_windows_need_not_divide_the_grid(kind, window):
    point = network_of(block("mixer", mixer=kind, window=window), block("both", window=window))
    assert point.build(1, 2)(torch.randn(1, 1, 24, 8, 16)).shape == (1, 2, 24, 8, 16)


def test_a_larger_window_mixes_further():
    """One changed voxel, the change of the tokens after the first layer."""
    reached = []
    for window in (2, 4, 0):
        torch.manual_seed(0)
        network = network_of(block("mixer", window=window), block()).build(1, 2)
        layer, z = network.encoder[0].layers[0], torch.randn(1, 512, 6)
        other = z.clone()
        other[0, 0, 0] += 1
        with torch.no_grad():
            difference = layer(z, (8, 8, 8)) - layer(other, (8, 8, 8))
        reached.append(int((difference.abs().amax(-1) > 0).sum()))
    assert reached[:2] == [8, 64]
    assert reached[2] > 64


def test_an_odd_size_is_refused_with_the_stride():
    network = network_of(block(), block(), block()).build(1, 2)
    with pytest.raises(ValueError, match=r"multiple of the network's stride, 16$"):
        network(torch.zeros(1, 1, 16, 24, 16))


@pytest.mark.parametrize("patch", [2, 4])
def test_both_heads_reach_the_input_s_resolution(patch):
    for head in ("interpolate", "transposed"):
        point = network_of(block(), block(), patch=patch, head=head)
        assert point.stride() == 4 * patch
        x = torch.randn(1, 1, 8 * patch, 4 * patch, 4 * patch)
        assert point.build(1, 3)(x).shape == (1, 3, *x.shape[2:])


def test_the_space_reaches_from_tiny_to_the_paper():
    tiny = network_of(block(), block(), width=4)
    assert params(tiny) < 50_000
    assert params(presets()["slimformer3d-backbone-mamba"]) > 70e6


def test_the_small_preset_takes_hippocampus_crops():
    tiny = presets()["slimformer3d-tiny"]
    assert params(tiny) < 500_000
    assert all(length % tiny.stride() == 0 for length in (40, 56, 40))
    assert (
        replace(tiny, width=48, head="interpolate").blocks == presets()["slimformer3d"].blocks[:2]
    )
