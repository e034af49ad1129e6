"""APFormer as its authors count it, and the networks that its pruning is plugged into."""

import pytest
import torch
from torch import nn

from nas.cost.count import cost_of, count_macs
from search_spaces.apformer import SPACE, APFormer
from search_spaces.blocks.attention import Attention
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import QueryGate
from search_spaces.networks.attention_pruning import prune_attention
from search_spaces.networks.setr import SETR
from search_spaces.networks.transunet import TransUNet

PRESETS = SPACE.presets()
ISIC = {"in_channels": 3, "out_channels": 2, "patch": (256, 256)}
TINY = {"width": 4, "layers": 2, "heads": 2, "head_channels": 16, "mlp_ratio": 1, "reach": 8}

# Tables I and III at 256 x 256: 4 layers, N = 1024 patches of width 128, 6 heads of 128


def test_parameters_are_the_published_2_6_million():
    assert round(cost_of(PRESETS["apformer"], **ISIC).params / 1e6, 4) == 2.6395


def test_the_relative_tables_have_953_hundred_entries():
    with torch.device("meta"):
        network = PRESETS["apformer"].build(3, 2)
    tables = [p.numel() for name, p in network.named_parameters() if name.endswith(".table")]
    assert sum(tables) == 4 * 6 * 63**2
    assert round(sum(tables) / 1e6, 4) == 0.0953


def test_a_table_for_all_heads_has_the_papers_4n_plus_h():
    shared = APFormer(position="grpe-shared").build(3, 2)
    none = APFormer(position="none").build(3, 2)
    extra = sum(p.numel() for p in shared.parameters()) - sum(p.numel() for p in none.parameters())
    assert extra == 4 * (4 * 1024 + 6)


def test_macs_with_all_queries_are_10_7_giga():
    assert cost_of(PRESETS["apformer"], **ISIC).macs / 1e9 == pytest.approx(10.713, rel=0.005)


def test_macs_with_no_query_also_save_its_projection():
    """3.839 G is what the released code computes then: it still projects every query."""
    least = cost_of(PRESETS["apformer"], **ISIC).macs_least
    projected = 4 * 1024 * 128 * (6 * 128)
    assert (least + projected) / 1e9 == pytest.approx(3.839, rel=0.005)


def test_the_layers_without_pruning_cost_what_they_must():
    """Per layer: projections, scores and their use; Table III's 1.63 G are the projections."""
    unpruned = cost_of(PRESETS["apformer-unpruned"], **ISIC)
    assert unpruned.macs_least is None
    fewer = cost_of(APFormer(layers=3, prune_queries=False, prune_dependencies=False), **ISIC)
    inner, n, c = 6 * 128, 1024, 128
    projections = 4 * n * c * inner
    assert unpruned.macs - fewer.macs == projections + 2 * n * n * inner + 2 * n * c * 4 * c
    assert 4 * projections / 1e9 == pytest.approx(1.63, rel=0.015)


@pytest.mark.parametrize("kept", [0.0, 0.25, 0.5, 1.0])
def test_macs_fall_with_the_kept_share(kept):
    """A kept query costs two projections, its threshold, and N scores and sums a head."""
    inner, n, c, layers = 6 * 128, 1024, 128, 4
    each = 2 * c * inner + inner + 2 * n * inner
    least = cost_of(PRESETS["apformer"], **ISIC).macs_least
    found = cost_of(PRESETS["apformer"], **ISIC, kept=kept).macs
    assert found == least + layers * int(kept * n) * each


# The network


@pytest.mark.parametrize("design", ["apformer", "setr", "transunet"])
def test_in_the_plane_a_volume_is_its_slices(design):
    torch.manual_seed(0)
    network = APFormer(design=design, **TINY).build(1, 3).eval()
    volume = torch.randn(2, 1, 3, 16, 24)
    with torch.no_grad():
        slices = torch.stack([network(volume[:, :, i]) for i in range(3)], dim=2)
        torch.testing.assert_close(network(volume), slices, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_a_step_has_both_terms_and_teaches_all_but_g(spatial_dims):
    torch.manual_seed(0)
    network = APFormer(spatial_dims=spatial_dims, **TINY).build(1, 3)
    x, target = torch.randn(2, 1, 8, 16, 24), torch.randint(0, 3, (2, 1, 8, 16, 24))
    logits = network(x)
    losses = network.auxiliary_losses(target)
    assert losses.keys() == {"gate", "ssa"}
    (logits.square().mean() + sum(losses.values())).backward()
    still = {name for name, p in network.named_parameters() if p.grad is None}
    assert still == {f"bridge.layers.{i}.mixer.dependencies.g" for i in range(2)}


def test_the_gates_loss_in_the_plane_is_of_every_slice():
    """Foreground in one slice only: a gate that says so everywhere there has no loss."""
    network = APFormer(**TINY).build(1, 3)
    gate = network.bridge.gate
    network(torch.randn(2, 1, 3, 16, 16))
    target = torch.zeros(2, 1, 3, 16, 16, dtype=torch.long)
    target[1, 0, 2] = 1
    sure = torch.full((6, 2, 2, 2), -50.0)
    sure[:, 0], sure[5, 0], sure[5, 1] = 50.0, -50.0, 50.0
    gate._logits = sure
    assert gate.loss(target) < 1e-6


def test_it_measures_what_it_prunes_in_eval_mode():
    torch.manual_seed(0)
    network = APFormer(**TINY).build(1, 3)
    network(torch.randn(1, 1, 32, 32))
    assert network.measured() == {}
    network.eval()
    with torch.inference_mode():
        network(torch.randn(1, 1, 32, 32))
    rates = network.measured()
    assert rates["alpha"] == 0  # an untrained gate is sure of nothing
    assert 0 < rates["lambda"] < 1
    nn.init.zeros_(network.bridge.gate.classify.weight)
    with torch.no_grad():
        network.bridge.gate.classify.bias.copy_(torch.tensor([9.0, -9.0]))
    network(torch.randn(1, 1, 32, 32))
    assert network.measured() == {"alpha": 1.0}  # no query, no dependency


def test_a_pruned_query_costs_nothing_when_run():
    """Counted at the layers' matrix products, on a network that keeps a quarter of the patches."""
    torch.manual_seed(0)
    network = APFormer(**TINY).build(1, 3).eval()
    gate = network.bridge.gate

    def keep_first_quarter(module, inputs, kept):
        gate.queries.kept = type(kept)(kept.index[:, :4], kept.valid[:, :4], kept.tokens)

    gate.register_forward_hook(keep_first_quarter)
    rows = []
    for layer in network.bridge.layers:
        layer.mixer.project.register_forward_hook(lambda _, inputs, __: rows.append(inputs[0]))
    with torch.no_grad():
        network(torch.randn(1, 1, 32, 32))
    assert [tuple(r.shape) for r in rows] == [(1, 4, 32)] * 2


def test_g_of_every_layer_waits_for_its_rounds():
    network = APFormer(**TINY).build(1, 3)
    frozen = [p for name, p in network.named_parameters() if name.endswith(".g")]
    assert len(frozen) == 2
    assert not any(p.requires_grad for p in frozen)
    for module in network.modules():
        if hasattr(module, "begin_epoch"):
            module.begin_epoch(100)
    assert all(p.requires_grad for p in frozen)


def test_a_size_that_the_stride_does_not_divide_is_refused():
    network = APFormer(**TINY).build(1, 2)
    with pytest.raises(ValueError, match=r"multiple of the network's stride, 8$"):
        network(torch.randn(1, 1, 16, 20))
    assert network.eval()(torch.randn(1, 1, 5, 16, 24)).shape == (1, 2, 5, 16, 24)


# Plugged into other networks (Table III)


def plugged(network, design, levels):
    torch.manual_seed(0)
    point = APFormer(
        design=design,
        width=4,
        levels=levels,
        layers=2,
        heads=2,
        head_channels=16,
        mlp_ratio=2,
        norm="instance",
    )
    return network(point, 1, 3)


def transunet():
    return plugged(TransUNet, "transunet", 3)


def setr():
    return plugged(SETR, "setr", 4)


@pytest.mark.parametrize("make", [transunet, setr])
def test_plugged_in_without_pruning_anything_the_network_is_what_it_was(make):
    network, x = make().eval(), torch.randn(2, 1, 16, 24)
    with torch.no_grad():
        before = network(x)
        weights = {name: p.clone() for name, p in network.state_dict().items()}
        wrapped = prune_attention(network, frozen_rounds=None)
        torch.testing.assert_close(wrapped(x), before)
    assert not any(isinstance(m, Attention) for m in wrapped.modules())
    assert sum(isinstance(m, PrunedAttention) for m in wrapped.modules()) == 2
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, weights[name])


def test_a_watched_layer_decides_for_the_attention_after_it():
    network = prune_attention(transunet(), watch="encoder.2", channels=16)
    x = torch.randn(2, 1, 16, 24)
    network(x)
    losses = network.auxiliary_losses(torch.zeros(2, 1, 16, 24, dtype=torch.long))
    assert losses.keys() == {"gate"}  # SSA belongs to APFormer's own attention
    network.eval()(x)
    assert network.measured().keys() == {"alpha", "lambda"}
    with torch.no_grad():
        network.gate.classify.bias.copy_(torch.tensor([99.0, -99.0]))
        network(x)
    assert network.measured() == {"alpha": 1.0}


def test_a_copy_of_a_plugged_network_has_a_gate_of_its_own():
    import copy

    network = prune_attention(transunet(), watch="encoder.2", channels=16).eval()
    twin = copy.deepcopy(network)
    twin(torch.randn(1, 1, 16, 16))
    assert network.measured() == {}
    assert twin.measured()["lambda"] > 0


def test_the_plugged_networks_macs_fall_with_the_kept_share():
    """TransUNet skips queries; SETR, which has no feature map to decide by, only masks."""
    costs = [
        cost_of(PRESETS["transunet-pruned"], **ISIC, kept=kept).macs for kept in (1.0, 0.5, 0.0)
    ]
    width, n, layers, heads = 384, 256, 6, 6
    each = 2 * width * width + width + 2 * n * width  # W_t sees every head's channels once
    assert costs[0] - costs[1] == costs[1] - costs[2] == layers * n // 2 * each
    assert heads * 64 == width
    assert cost_of(PRESETS["setr-pruned"], **ISIC).macs_least is None


def test_pruning_adds_a_gate_and_a_threshold_a_layer():
    plain, pruned = (cost_of(PRESETS[name], **ISIC) for name in ("transunet", "transunet-pruned"))
    gate, threshold = 2 * 256 + 2, 64  # two classes of 16 * 2^4 channels; g is not yet trained
    assert pruned.params - plain.params == gate + 6 * threshold


def test_the_gate_is_counted_for_what_it_keeps_on_the_meta_device():
    with torch.device("meta"):
        gate = QueryGate(2, 4)
        gate.assumed_kept = 0.3
        kept = gate(torch.empty(2, 4, 5, 5))
    assert kept.index.shape == (2, 7)
    assert count_macs(gate, (1, 4, 5, 5)) == 25 * 4 * 2
