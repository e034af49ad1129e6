"""What blocks show of their decisions, and what stands in for them, for `segnas explain`."""

import pytest
import torch
from torch import nn

from search_spaces.blocks.adaptive_decoder import AdaptiveMixing
from search_spaces.blocks.anchors import AnchorDetector
from search_spaces.blocks.attention import Attention, looked_at
from search_spaces.blocks.dependency_pruning import DependencyPruning
from search_spaces.blocks.halo_windows import HaloWindows
from search_spaces.blocks.lspm import ExpertMixer
from search_spaces.blocks.pooled_windows import PooledWindows
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import QueryGate
from search_spaces.blocks.shared_heads import SharedHeads
from search_spaces.blocks.skip_router import SkipRouter
from search_spaces.blocks.token_pruning import SoftTopK
from search_spaces.blocks.top_windows import TopWindows
from search_spaces.blocks.windows import Windowed
from search_spaces.networks.segformer3d import ReducedAttention


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def the_only(values):
    """Of a dict of dicts with a single value."""
    (inner,) = values.values()
    (value,) = inner.values()
    return value


def test_attention_received_is_the_mean_over_heads_and_queries(monkeypatch):
    monkeypatch.setattr("search_spaces.blocks.attention.WEIGHTS", 40)  # a few queries at a time
    q, k = torch.randn(2, 3, 7, 4), torch.randn(2, 3, 5, 4)
    mask = torch.ones(2, 7, 5, dtype=torch.bool)
    mask[:, :, 0] = False
    weights = (q @ k.mT / 2).masked_fill(~mask[:, None], -torch.inf).softmax(-1)
    torch.testing.assert_close(looked_at(q, k, mask), 5 * weights.mean((1, 2)))
    assert (looked_at(q, k, mask)[:, 0] == 0).all()


@pytest.mark.parametrize(
    "attention",
    [Attention(8, 2), SharedHeads(8, 2, 1), SharedHeads(8, 2, 2), SharedHeads(8, 4, 2)],
    ids=["full", "one key", "as many keys", "groups"],
)
def test_attention_shows_the_weights_that_it_mixes_with(attention):
    attention.eval()
    z = torch.randn(1, 6, 8)
    shown = the_only(attention.shows((z, (3, 2)), attention(z)))
    assert shown.shape == (1, 3, 2)
    # The gradient of the mixed values' sum by a value's is what it is looked at.
    kept = {}

    def values_of_ones(q, k, v, mask=None):
        kept["weights"] = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
        return kept["weights"] @ v

    module = "attention" if isinstance(attention, Attention) else "shared_heads"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"search_spaces.blocks.{module}.scaled_dot_product_attention", values_of_ones)
        attention(z)
    torch.testing.assert_close(shown.flatten(1), 6 * kept["weights"].mean((1, 2)))


@pytest.mark.parametrize("attention", [Attention(8, 2), SharedHeads(8, 4, 2)])
def test_attention_to_all_alike_is_that_of_equal_scores(attention):
    z = torch.randn(2, 6, 8)
    alike = the_only(attention.replacements())((z,), attention(z), None)
    torch.testing.assert_close(alike, alike[:, :1].expand_as(alike))
    for part in attention.modules():  # no query: all scores are zero
        if part is getattr(attention, "qkv", None):
            part.weight[:8], part.bias[:8] = 0, 0
        if part is getattr(attention, "query", None):
            nn.init.zeros_(part.weight), nn.init.zeros_(part.bias)
    torch.testing.assert_close(attention(z), alike)


@pytest.mark.parametrize("dilated", [False, True])
def test_windows_show_their_attention_where_it_is_on_the_grid(dilated):
    attention = Attention(8, 2)
    z = torch.randn(1, 24, 8)
    windowed = Windowed(attention, 2, dilated=dilated)
    shown = the_only(windowed.shows((z, (6, 4)), windowed(z, (6, 4))))
    grid = z.unflatten(1, (6, 4))
    for a in range(3):
        for b in range(2):
            rows, columns = (
                (slice(a, None, 3), slice(b, None, 2))
                if dilated
                else (slice(2 * a, 2 * a + 2), slice(2 * b, 2 * b + 2))
            )
            alone = attention.received(grid[:, rows, columns].flatten(1, 2))
            torch.testing.assert_close(shown[:, rows, columns].flatten(1), alone)
    assert Windowed(nn.Identity(), 2).shows((z, (6, 4)), None) == {}


def test_pooled_windows_show_every_token_its_window_s_attention():
    pooled = PooledWindows(SharedHeads(8, 2, 1), 4)
    z = torch.randn(1, 30, 8)
    shown = the_only(pooled.shows((z, (6, 5)), pooled(z, (6, 5))))
    assert shown.shape == (1, 6, 5)
    corners = shown[0, [0, 0, 4, 4], [0, 4, 0, 4]]
    assert torch.equal(shown[0, :4, :4], corners[0].expand(4, 4))
    assert torch.equal(shown[0, 4:, 4:], corners[3].expand(2, 1))
    assert corners.mean() == pytest.approx(1.0)
    alike = the_only(pooled.replacements())((z, (6, 5)), None, None)
    torch.testing.assert_close(alike, alike[:, :1].expand_as(alike))


@pytest.mark.parametrize(
    "block",
    [
        lambda attention: HaloWindows(attention, 2, 1),
        lambda attention: TopWindows(attention, 2, 2),
        lambda attention: HaloWindows(attention, 8, 1),
        lambda attention: TopWindows(attention, 2, 9),
    ],
    ids=["halo", "top", "one window", "all windows"],
)
@pytest.mark.parametrize("size", [(4, 6), (5, 6)])
def test_windows_that_see_beyond_themselves_show_what_their_attention_mixes(block, size):
    windows, z = block(SharedHeads(8, 2, 2)).eval(), torch.randn(2, size[0] * size[1], 8)
    before = windows(z, size)
    shown = the_only(windows.shows((z, size), before))
    assert shown.shape == (2, *size)
    if size == (4, 6) or windows.window == 8:  # no filling, whose queries are counted, too
        torch.testing.assert_close(shown.mean((1, 2)), torch.ones(2))
        if windows.window == 8 or getattr(windows, "top", 0) == 9:  # all look at all
            torch.testing.assert_close(shown.flatten(1), windows.attention.received(z))
    alike = the_only(windows.replacements())((z, size), None, None)
    assert not torch.allclose(alike, before)
    if isinstance(windows, HaloWindows):  # which looks at the same tokens whatever it asks
        windows.attention.query.weight.zero_()
        windows.attention.query.bias.zero_()
        torch.testing.assert_close(alike, windows(z, size))


@pytest.mark.parametrize("reduce", [(1, 1, 1), (2, 2, 1)])
def test_attention_to_a_coarser_grid_is_shown_on_the_finer_one(reduce):
    block, size = ReducedAttention(8, 2, reduce).eval(), (4, 4, 2)
    z = torch.randn(2, 32, 8)
    shown = the_only(block.shows((z, size), block(z, size)))
    assert shown.shape == (2, *size)
    torch.testing.assert_close(shown.mean((1, 2, 3)), torch.ones(2))
    alike = the_only(block.replacements())((z, size), None, None)
    assert not torch.allclose(alike, block(z, size))
    torch.testing.assert_close(alike, alike[:, :1].expand_as(alike))


def test_what_gate_and_dependencies_show_are_the_rates_that_they_measure():
    gate = QueryGate(2, 4, confidence=0.5)
    attention = PrunedAttention(
        4, 2, queries=gate.queries, dependencies=DependencyPruning(2)
    ).eval()
    gate.eval()
    x, seen = torch.randn(2, 4, 4, 4), []
    attention.dependencies.register_forward_hook(
        lambda module, inputs, output: seen.append(module.shows(inputs, output))
    )
    kept = gate(x)
    shown = gate.shows((x,), kept)["query pruning"]
    z = x.flatten(2).mT
    attention(z)
    pruned, of = gate.pruned_and_seen()
    assert 0 < pruned < of
    assert float(shown["pruned"].mean()) == pytest.approx(pruned / of)
    surely = gate.classify(x).softmax(1)[:, 0] >= 0.5
    assert torch.equal(shown["pruned"].bool(), surely)

    (rows,) = seen
    asking = kept.asks.sum(1)
    pruned, of = attention.dependencies.pruned_and_seen()
    looked = rows["dependency pruning"]["share that looks"].mean(1)
    assert float((looked * asking).sum() / asking.sum()) == pytest.approx(1 - pruned / of)
    torch.testing.assert_close(the_only({"": rows["attention"]}).mean(1), torch.ones(2))


def test_queries_are_replaced_by_as_many_or_by_all_and_the_layers_hear_of_it():
    gate = QueryGate(2, 4, confidence=0.5).eval()
    x = torch.randn(2, 4, 4, 4)
    kept = gate(x)
    offered = gate.replacements()["query pruning"]
    random = offered["random queries"]((x,), kept, None)
    assert gate.queries.kept is random
    assert torch.equal(random.asks.sum(1), kept.asks.sum(1))
    assert not torch.equal(random.asks, kept.asks)
    everything = offered["nothing pruned"]((x,), kept, None)
    assert gate.queries.kept is everything
    assert everything.asks.all()


def test_tokens_are_replaced_by_as_many_or_by_all():
    prune = SoftTopK(4, 0.75).eval()
    z = torch.randn(2, 16, 4)
    pruned = prune(z)
    offered = prune.replacements()["token pruning"]
    random = offered["random scores"]((z,), pruned, None)
    assert random.kept.shape == pruned.kept.shape
    assert not torch.equal(random.kept_index, pruned.kept_index)
    everything = offered["nothing pruned"]((z,), pruned, None)
    assert torch.equal(everything.kept, z)
    assert everything.dropped.shape == (2, 0, 4)


def test_dependencies_that_are_not_pruned_are_a_softmax():
    dependencies = DependencyPruning(2).eval()
    scores, q = torch.randn(1, 2, 3, 5), torch.randn(1, 2, 3, 2)
    whole = the_only(dependencies.replacements())((scores, q), dependencies(scores, q), None)
    torch.testing.assert_close(whole, scores.softmax(-1))


def test_shares_sum_to_one_and_a_mixture_of_equal_shares_is_its_replacement():
    x, complexity = torch.randn(1, 4, 4, 4, 4), torch.rand(1, 1, 4, 4, 4)
    features = [x, torch.randn(1, 6, 2, 2, 2)]
    cases = [
        (AdaptiveMixing(3, 4), "choose", (x,)),
        (ExpertMixer(3, 4), "gate", (x, complexity)),
        (SkipRouter(3, [4, 6], 8, [4]), "control", (features, 0, (4, 4, 4))),
    ]
    for block, chooser, inputs in cases:
        (shares,) = block.shows(inputs, block(*inputs)).values()
        torch.testing.assert_close(sum(shares.values()), torch.ones(1, 4, 4, 4))
        uniform = the_only(block.replacements())(inputs, block(*inputs), None)
        assert not torch.allclose(uniform, block(*inputs))
        for parameter in getattr(block, chooser).parameters():
            nn.init.zeros_(parameter)
        torch.testing.assert_close(block(*inputs), uniform)


def test_anchors_are_replaced_by_the_mean_in_every_case():
    detect = AnchorDetector(3, 1, 4)
    x = torch.randn(2, 1, 16, 16, 16)
    output = detect(x)
    mean = torch.rand(4, 3)
    everywhere = the_only({"": detect.replacements()["anchors"]})((x,), output, mean)
    assert torch.equal(everywhere, mean.expand(2, 4, 3))
    assert torch.equal(detect.shows((x,), output)["anchors"], output)
