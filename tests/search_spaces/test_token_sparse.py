"""UNETR on sparse tokens: the network and its space."""

from dataclasses import replace

import pytest
import torch
from monai.networks.nets import UNETR

from benchmarks.measured_memory import training_memory
from nas.cost.count import cost_of, count_params
from nas.cost.live_tensors import LiveTensors
from search_spaces.blocks.sparse_encoder import SparseEncoder
from search_spaces.blocks.unetr_decoder import UNETRDecoder
from search_spaces.networks.sparse_unetr import evenly_spaced
from search_spaces.token_sparse import SPACE, TokenSparse

PRESETS = SPACE.presets()
SMALL = TokenSparse(
    patch=4, width=48, depth=4, heads=3, mlp_ratio=1, features=4, prune=0.5, places=3
)
SAMPLERS = ("stp", "evit", "dynamic")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def tokens_seen(network, x):
    """How many tokens each layer got, the completion's last."""
    seen = []
    layers = [*network.encoder.layers, network.encoder.completion.layer]
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
        for layer in layers
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    return seen


# Costs


@pytest.mark.parametrize(
    ("preset", "channels", "size", "classes", "gmacs"),
    [  # Zhou 2023, Tables 2 and 3, their released code counted by convolutions and products alone
        ("unetr-p8-btcv", 1, 96, 14, 258.32),
        ("stp-mta-unetr-r90-btcv", 1, 96, 14, 131.80),
        ("unetr-p8", 4, 128, 3, 780.54),
        ("stp-mta-unetr-r25", 4, 128, 3, 588.89),
        ("stp-mta-unetr-r50", 4, 128, 3, 455.57),
        ("stp-mta-unetr-r75", 4, 128, 3, 386.05),
        ("stp-mta-unetr-r90", 4, 128, 3, 361.93),
    ],
)
def test_the_published_networks_cost_what_they_should(preset, channels, size, classes, gmacs):
    macs = cost_of(PRESETS[preset], channels, classes, (size,) * 3).macs / 1e9
    assert macs == pytest.approx(gmacs, rel=1e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_macs_fall_with_the_pruning_ratio(sampler):
    shares = [
        cost_of(replace(SMALL, prune=r, sampler=sampler), 1, 3, (24, 24, 24)).macs
        for r in (0.25, 0.5, 0.75, 0.9)
    ]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 4


# The transformer


def test_paper_places_and_token_counts():
    """96^3 in patches of 8: 1729, 173, 18 and 2 tokens with the class token, then all again."""
    small = replace(PRESETS["stp-mta-unetr-r90"], width=48, mlp_ratio=1, features=4)
    with torch.device("meta"):
        network = small.build(1, 2).eval()
        seen = tokens_seen(network, torch.empty(1, 1, 96, 96, 96))
    assert seen == [1729] * 3 + [173] * 3 + [18] * 3 + [2] * 3 + [1729]


@pytest.mark.parametrize("sampler", ["stp", "evit"])
def test_training_computes_kept_tokens_only(sampler):
    network = replace(SMALL, sampler=sampler).build(1, 2).train()
    assert tokens_seen(network, torch.randn(2, 1, 16, 16, 16)) == [65, 33, 17, 9, 65]


@pytest.mark.parametrize(
    ("depth", "count", "places"),
    [
        (12, 3, [3, 6, 9]),
        (12, 2, [4, 8]),
        (4, 3, [1, 2, 3]),
        (6, 3, [1, 3, 4]),
        (8, 1, [4]),
        (4, 4, [1, 1, 2, 3]),
    ],
)
def test_places_are_evenly_spaced(depth, count, places):
    assert evenly_spaced(depth, count) == places


def test_every_sampler_drops_the_same_number_at_inference():
    x = torch.randn(1, 1, 16, 16, 16)
    seen = [tokens_seen(replace(SMALL, sampler=s).build(1, 2).eval(), x) for s in SAMPLERS]
    assert seen[0] == seen[1] == seen[2] == [65, 33, 17, 9, 65]


def test_noise_is_for_training_only():
    network, x = SMALL.build(1, 2), torch.randn(1, 1, 16, 16, 16)
    assert not torch.equal(network.train()(x), network(x))
    assert torch.equal(network.eval()(x), network(x))


# The decoder


@pytest.mark.parametrize(("channels", "classes"), [(1, 4), (4, 3)])
def test_patches_of_16_make_the_original_unetr(channels, classes):
    torchs = UNETR(channels, classes, img_size=32, feature_size=4, hidden_size=24, num_heads=2)
    ours = UNETRDecoder(channels, classes, width=24, features=4, patch=16, pooled=False)
    blocks = [torchs.encoder1, torchs.encoder2, torchs.encoder3, torchs.encoder4]
    blocks += [torchs.decoder2, torchs.decoder3, torchs.decoder4, torchs.decoder5, torchs.out]
    mine = [ours.image, *ours.skips, *ours.up, ours.classify]
    for block, copy in zip(blocks, mine, strict=True):
        weights = zip(block.parameters(), copy.parameters(), strict=True)
        for theirs, own in weights:
            theirs.data = own.data.clone()
    x, z = torch.randn(1, channels, 32, 32, 32), [torch.randn(1, 24, 2, 2, 2) for _ in range(4)]
    enc = [torchs.encoder1(x), torchs.encoder2(z[0]), torchs.encoder3(z[1]), torchs.encoder4(z[2])]
    y = torchs.decoder4(torchs.decoder5(z[3], enc[3]), enc[2])
    y = torchs.out(torchs.decoder2(torchs.decoder3(y, enc[1]), enc[0]))
    torch.testing.assert_close(ours(x, z), y)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("patch", "maps"), [(4, 2), (8, 3), (16, 4)])
def test_the_decoder_takes_a_map_a_level(patch, maps, pooled):
    with torch.device("meta"):
        decoder = UNETRDecoder(1, 2, width=12, features=4, patch=patch, pooled=pooled)
        assert decoder.maps == maps + pooled
        grids = [torch.empty(1, 12, 2, 4, 2) for _ in range(decoder.maps)]
        x = torch.empty(1, 1, 2 * patch, 4 * patch, 2 * patch)
        assert decoder(x, grids).shape == (1, 2, *x.shape[2:])


def test_few_layers_still_give_every_map():
    """Patches of 16 above a pooled bottom take five maps; four layers have four."""
    network = replace(SMALL, patch=16, prune=0.0, bottom="pooled").build(1, 2).eval()
    assert network(torch.randn(1, 1, 64, 32, 32)).shape == (1, 2, 64, 32, 32)


@pytest.mark.parametrize("patch", [1, 6])
def test_patches_that_are_no_power_of_two_are_refused(patch):
    with pytest.raises(ValueError, match=f"patch {patch}; expected a power of two"):
        UNETRDecoder(1, 2, width=12, features=4, patch=patch, pooled=False)


# Training


@pytest.mark.parametrize("completion", ["mta", "mim"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_parameter_learns(sampler, completion):
    network = replace(SMALL, sampler=sampler, completion=completion).build(1, 2).train()
    y = network(torch.randn(2, 1, 16, 24, 16))
    extra = network.auxiliary_losses(torch.zeros(2, 1, 16, 24, 16))
    (y.square().mean() + sum(extra.values())).backward()
    for name, p in network.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all(), name
    if sampler != "evit":
        for module in network.encoder.samplers:
            assert module.scores.own.weight.grad.abs().sum() > 0


def test_only_dynamic_training_has_a_ratio_loss_and_gives_it_once():
    x, y = torch.randn(1, 1, 16, 16, 16), torch.zeros(1, 1, 16, 16, 16)
    for sampler in SAMPLERS:
        network = replace(SMALL, sampler=sampler).build(1, 2).train()
        network(x)
        assert set(network.auxiliary_losses(y)) == ({"ratio"} if sampler == "dynamic" else set())
        assert network.auxiliary_losses(y) == {}
    assert network.eval()(x).shape == (1, 2, 16, 16, 16)
    assert network.auxiliary_losses(y) == {}


def test_the_ratio_loss_pulls_towards_the_ratio():
    """From half of the tokens at the start to a tenth."""
    network = replace(SMALL, sampler="dynamic", prune=0.9, places=1).build(1, 2).train()
    x = torch.randn(1, 1, 16, 16, 16)
    optimizer = torch.optim.Adam(network.encoder.samplers.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        network(x)
        loss = network.auxiliary_losses(x)["ratio"]
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sum(losses[:3]) > 4 * sum(losses[-3:])


# Memory


def test_dropped_tokens_leave_no_activations():
    """Dropping after 6 of 12 layers leaves 6 full ones, 6 of a tenth, the completion's and, for
    scores and assembly, less than another: 7.6 to 8.6 of 12."""
    deep = replace(SMALL, depth=12, width=96, mlp_ratio=4, places=1)
    z, position = torch.randn(1, 513, 96), torch.randn(1, 512, 96)

    def kept(prune):
        encoder = replace(deep, prune=prune).build(1, 2).train().encoder
        with LiveTensors([z, position, *encoder.parameters()]) as live:
            return encoder(z, position) if prune else encoder(z), live.now

    (_, dense), (_, half), (_, tenth) = kept(0.0), kept(0.5), kept(0.9)
    assert tenth < half < dense
    assert 7.6 / 12 < tenth / dense < 8.6 / 12


@pytest.mark.slow
def test_training_the_pruned_unetr_takes_less_than_half():
    """At 64^3, as both train by default; benchmarks/stp_memory.py has 96^3."""
    x = torch.randn(1, 1, 64, 64, 64)
    dense, pruned = (
        training_memory(PRESETS[name].build(1, 14).train(), x).kept
        for name in ("unetr-p8", "stp-mta-unetr-r90")
    )
    assert pruned < 0.5 * dense


@pytest.mark.parametrize("prune", [0.0, 0.5])
def test_recomputing_saves_memory_and_changes_no_gradient(prune):
    network = replace(SMALL, depth=12, prune=prune, sampler="evit").build(1, 2).train()
    x = torch.randn(1, 1, 16, 24, 16)
    grads, kept = [], []
    for network.recompute in (False, True):
        network.zero_grad(set_to_none=True)
        kept.append(training_memory(network, x).kept)
        grads.append([p.grad for p in network.parameters()])
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-3)
    assert kept[1] < 0.5 * kept[0]


def test_large_pruned_networks_recompute_by_default():
    def choose(prune, features, size):
        network = replace(SMALL, prune=prune, features=features).build(1, 2)
        return network._recomputes(torch.empty(1, 1, *size, device="meta"))

    assert choose(0.5, 16, (96, 96, 96))
    assert not choose(0.5, 8, (40, 56, 40))
    assert not choose(0.0, 16, (96, 96, 96))


# The space


def test_strides_of_the_two_decoders():
    assert PRESETS["unetr-p8"].stride() == 8
    assert PRESETS["unetr-p8-btcv"].stride() == 16
    with pytest.raises(ValueError, match="multiple of the network's stride, 16"):
        replace(SMALL, patch=8, bottom="pooled").build(1, 2)(torch.zeros(1, 1, 24, 32, 32))


def test_an_unpruned_network_has_one_name():
    plain = replace(SMALL, prune=0.0)
    other = replace(plain, places=2, sampler="evit", completion="mim")
    assert other.key == plain.key != SMALL.key
    assert not isinstance(other.build(1, 2).encoder, SparseEncoder)


def test_the_temperature_names_a_network_only_where_it_is_used():
    assert replace(SMALL, tau=0.1).key != SMALL.key
    assert replace(SMALL, sampler="evit", tau=0.1).key == replace(SMALL, sampler="evit").key


def test_noise_names_a_network_only_where_it_is_drawn():
    assert replace(SMALL, noiseless=True).key != SMALL.key
    for other in (replace(SMALL, sampler="dynamic"), replace(SMALL, prune=0.0)):
        assert replace(other, noiseless=True).key == other.key
    network, x = replace(SMALL, noiseless=True).build(1, 2).train(), torch.randn(1, 1, 16, 16, 16)
    assert torch.equal(network(x), network(x))


def test_the_space_reaches_from_tiny_to_the_paper():
    tiny = TokenSparse(
        patch=8, width=48, depth=4, heads=3, mlp_ratio=1, features=4, prune=0.75, sampler="evit"
    )
    with torch.device("meta"):
        assert count_params(tiny.build(1, 3)) < 250_000
        assert count_params(PRESETS["unetr-p8"].build(1, 14)) > 85e6
