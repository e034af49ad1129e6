"""What each of the papers' ideas builds as a knob of the hybrid space, beside all others."""

import pytest
import torch

from nas.cost.count import cost_of
from search_spaces.blocks.adaptive_decoder import AdaptiveDecoder
from search_spaces.blocks.dependency_pruning import DependencyPruning
from search_spaces.blocks.grpe import GRPE
from search_spaces.blocks.lspm import LSPM, TextureRouting
from search_spaces.blocks.mamba import Mamba
from search_spaces.blocks.pooling import Pooling
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import QueryGate
from search_spaces.blocks.selective_scan import SelectiveScan
from search_spaces.blocks.shared_heads import SharedHeads
from search_spaces.blocks.skip_router import SkipRouter
from search_spaces.blocks.token_pruning import SoftTopK
from search_spaces.blocks.windows import Windowed
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.registry import find_preset
from tests.search_spaces.networks import params_of as params


def hybrid(*gates, tokens=None, **choices):
    """A small network with one token stage of those gates (none: no stage)."""
    stage = TokenStage(
        layers_count=len(gates), layers=tuple(Layer(gate=g) for g in gates), **(tokens or {})
    )
    stages = (stage,) if gates else ()
    return Hybrid(token_stages=len(stages), tokens=stages, growth=1.0, width=16, **choices)


def count(architecture, kind):
    return sum(isinstance(m, kind) for m in architecture.build(1, 2).modules())


def cost(architecture):
    return cost_of(architecture, 1, 2, (32, 32, 32))


@pytest.mark.parametrize(
    ("tokens", "kind", "expected"),
    [
        ({"mixer": "mamba"}, Mamba, 2),
        ({"mixer": "mamba"}, SelectiveScan, 2),
        ({"mixer": "pool"}, Pooling, 2),
        ({"mixer": "shared"}, SharedHeads, 2),
        ({"mixer": "attention", "window": 4}, Windowed, 2),
        ({"mixer": "mamba", "window": 2}, Windowed, 2),
        ({"mixer": "adaptive"}, PrunedAttention, 2),
        ({"mixer": "adaptive", "prune_queries": True}, QueryGate, 1),
        ({"mixer": "adaptive", "prune_dependencies": True}, DependencyPruning, 2),
        ({"mixer": "adaptive", "grpe": True}, GRPE, 2),
    ],
)
def test_a_token_knob_builds_its_block_in_every_layer_that_mixes(tokens, kind, expected):
    assert count(hybrid("both", "mixer", "mlp", tokens=tokens), kind) == expected
    assert count(hybrid("both", "mixer", "mlp"), kind) == 0


def test_a_gate_is_as_sure_as_its_knob_says():
    sure = hybrid("both", tokens={"mixer": "adaptive", "prune_queries": True, "confidence": 0.7})
    (gate,) = (m for m in sure.build(1, 2).modules() if isinstance(m, QueryGate))
    assert gate.confidence == 0.7


def test_attention_trains_without_its_own_terms_where_they_are_off():
    network = hybrid("both", tokens={"mixer": "adaptive", "regularise": False}).build(1, 2)
    network.train()(torch.randn(1, 1, 16, 16, 16))
    assert network.auxiliary_losses(torch.zeros(1, 1, 16, 16, 16, dtype=torch.long)) == {}


def test_the_prior_routes_every_encoder_level_by_one_texture():
    point = hybrid(prior=True, levels=4)
    assert count(point, LSPM) == 1
    assert count(point, TextureRouting) == 4
    assert count(hybrid(levels=4), TextureRouting) == 0


def test_the_adaptive_decoder_takes_the_place_of_every_unit():
    assert count(hybrid(decoder="adaptive", levels=4), AdaptiveDecoder) == 3


def test_routed_skips_read_every_encoder_level():
    (router,) = (
        m for m in hybrid(skip="routed", levels=4).build(1, 2).modules() if type(m) is SkipRouter
    )
    assert len(router.project) == 4
    assert len(router.release) == 2  # the shallowest skip stays direct


def test_shared_heads_and_low_rank_save_what_they_say():
    """16 channels have one head; 32 have two, of which a shared key and value keep one."""
    full = Hybrid(width=8, token_stages=1, tokens=hybrid("mixer").tokens)
    shared = hybrid("mixer", tokens={"mixer": "shared"}).tokens
    saved = params(full) - params(Hybrid(width=8, token_stages=1, tokens=shared))
    assert saved == (2 * 32 + 2) * 16  # half of the keys' and values' rows, with their biases
    low = hybrid("mlp", tokens={"rank": 0.5})
    full_mlp, low_mlp = 2 * 16 * 32, 2 * (16 * 8 + 8 * 32)
    assert params(hybrid("mlp")) - params(low) == full_mlp - low_mlp


@pytest.mark.parametrize(
    ("tokens", "plain"),
    [
        ({"mixer": "mamba"}, {}),  # no layer mixes
        ({"mixer": "adaptive", "grpe": True, "prune_queries": True}, {}),
        ({"window": 4}, {}),
        ({"mixer": "pool", "rank": 0.5, "window": 2, "grpe": True}, {"rank": 0.5}),
    ],
)
def test_a_mixer_that_no_layer_has_is_no_difference(tokens, plain):
    spelt, canonical = hybrid("mlp", tokens=tokens), hybrid("mlp", tokens=plain)
    assert spelt.canonical() == canonical
    assert params(spelt) == params(canonical)


@pytest.mark.parametrize(
    "choices",
    [
        {"tau": 0.1},
        {"noiseless": True},
        {"places": 1},
        {"directions": 2},
    ],
)
def test_knobs_of_what_is_not_there_are_no_difference(choices):
    three, four = (("both",) * n for n in (3, 4))
    assert hybrid(*four, tokens=choices).key == hybrid(*four).key
    spelt = {"prune": 0.5, "mixer": "mamba", **choices}
    plain = {"prune": 0.5, "mixer": "mamba"}
    assert hybrid(*four, tokens=spelt).key != hybrid(*four, tokens=plain).key
    if "places" in choices:  # three layers have room for one
        assert hybrid(*three, tokens=spelt).key == hybrid(*three, tokens=plain).key


@pytest.mark.parametrize("mixer", ["attention", "mamba"])
def test_stp_s_knobs_reach_its_places(mixer):
    chosen = {"prune": 0.5, "mixer": mixer, "tau": 0.1, "noiseless": True, "places": 1}
    network = hybrid("both", "both", "both", "both", tokens=chosen).build(1, 2)
    [stp] = (m for m in network.modules() if isinstance(m, SoftTopK))
    assert (stp.tau, stp.noise, stp.ratio) == (0.1, False, 0.5)


def test_anchors_that_are_not_there_have_no_head():
    assert hybrid(anchors_head="soft-argmax").key == hybrid().key
    assert hybrid(anchors=4, anchors_head="soft-argmax").key != hybrid(anchors=4).key


def test_the_rank_of_linear_maps_that_no_layer_has_is_no_difference():
    assert hybrid("mixer", tokens={"mixer": "pool", "rank": 0.5}).canonical() == hybrid(
        "mixer", tokens={"mixer": "pool"}
    )
    assert hybrid("mixer", tokens={"rank": 0.5}).canonical() != hybrid("mixer")


def test_an_adaptive_decoder_always_concatenates():
    joins = {hybrid(decoder="adaptive", skip=skip).key for skip in ("concat", "add")}
    assert len(joins) == 1


def test_knobs_at_their_default_do_not_rename_old_networks():
    record = hybrid("both").to_json()
    assert not record.keys() & {"decoder", "prior", "anchors_head"}
    later = {"mixer", "rank", "window", "grpe", "places", "tau", "noiseless", "directions"}
    assert not record["tokens"][0].keys() & later
    assert Hybrid.from_json(record) == hybrid("both")
    pruned = find_preset("hybrid-adaptive")
    assert not pruned.to_json()["tokens"][0].keys() & {"confidence", "regularise"}
    assert pruned.key == "af66d14c29"  # from before there were the two


def test_the_work_of_pruned_queries_is_between_two_bounds():
    always = cost(hybrid("both", tokens={"mixer": "adaptive"}))
    pruned = cost(hybrid("both", tokens={"mixer": "adaptive", "prune_queries": True}))
    gate = 4**3 * 16 * 2  # a 1^3 convolution to two classes over 4^3 patches
    assert always.macs_least is None
    assert pruned.macs == always.macs + gate
    # Of the layer, a query's own work is its projections, two matrix products and no MLP.
    assert pruned.macs - pruned.macs_least == 64 * (2 * 16 * 16 + 2 * 64 * 16)


def test_the_selective_scan_is_named():
    named = cost(hybrid("both", tokens={"mixer": "mamba"})).named
    assert named == {"selective_scan": 9 * 64 * 32 * 16 // 2}  # 9 L d_inner N FLOPs


def test_adaptive_stages_train_with_their_own_terms_and_tell_their_rates():
    torch.manual_seed(0)
    network = hybrid(
        "both", tokens={"mixer": "adaptive", "prune_queries": True, "prune_dependencies": True}
    ).build(1, 2)
    x, target = torch.randn(1, 1, 16, 16, 16), torch.randint(0, 2, (1, 1, 16, 16, 16))
    network.train()(x)
    assert network.auxiliary_losses(target).keys() == {"gate", "ssa"}
    with torch.no_grad():
        network.eval()(x)
    rates = network.measured()
    assert rates.keys() == {"alpha", "lambda"}
    assert all(0 <= rate <= 1 for rate in rates.values())
    plain = hybrid("both").build(1, 2)
    plain.train()(x)
    assert plain.auxiliary_losses(target) == {}
    assert plain.measured() == {}
