"""Who stays and what comes back: scores, samplers and completions."""

import math

import pytest
import torch
from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.dynamic_pruning import DynamicPruning, attend_kept, ratio_loss
from search_spaces.blocks.evit_pruning import AttentiveTopK, class_attention
from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.blocks.low_rank import Factors
from search_spaces.blocks.mlp import MLP
from search_spaces.blocks.recompute import recomputed
from search_spaces.blocks.token_completion import MaskTokenCompletion, MultiLayerAssembly
from search_spaces.blocks.token_pruning import SoftTopK
from search_spaces.blocks.token_scores import TokenScores


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def layer_of(channels=8):
    return GatedLayer(channels, Attention(channels, 2), MLP(channels, 16))


# Scores


def test_scores_are_two_mlps_around_the_mean():
    """Eq. 1 with MLP2's first layer written as one matrix over the concatenation."""
    scores, z = TokenScores(8), torch.randn(2, 5, 8)
    first = nn.Linear(16, 4)
    first.weight.data = torch.cat([scores.own.weight, scores.shared.weight], dim=1).data
    first.bias.data = scores.own.bias.data
    normed = scores.norm(z)
    mean = scores.local(normed).mean(1, keepdim=True).expand(-1, 5, -1)
    expected = scores.score(first(torch.cat([normed, mean], dim=-1)))[..., 0]
    torch.testing.assert_close(scores(z), expected)


def test_dropped_tokens_leave_the_mean():
    scores, z = TokenScores(8), torch.randn(1, 5, 8)
    weight = torch.tensor([[1.0, 0.0, 1.0, 0.0, 1.0]])
    torch.testing.assert_close(scores(z, weight)[:, ::2], scores(z[:, ::2]))


def test_soft_top_k_keeps_by_the_scores_it_is_given():
    z = torch.randn(2, 8, 4)
    stp = SoftTopK(4, 0.75, scores=FirstChannel()).eval()
    pruned = stp(z)
    for b in range(2):
        assert pruned.kept_index[b].tolist() == sorted(z[b, :, 0].topk(2).indices.tolist())
    assert not list(stp.parameters())


class FirstChannel(nn.Module):
    def forward(self, z):
        return z[..., 0]


@pytest.mark.parametrize("tau", [1.0, 0.1])
def test_the_gradient_of_soft_top_k_is_that_of_the_softmax(monkeypatch, tau):
    """Three tokens, one kept: d(kept . 1) / d log s = c (delta - soft) soft / tau (Eq. 2)."""
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda t: t.fill_(1.0))  # no noise
    logits = torch.tensor([[0.5, -0.2, 0.1]], requires_grad=True)
    stp = SoftTopK(2, 0.5, tau, scores=Given(logits)).train()
    z = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    stp(z).kept.sum().backward()
    s = torch.sigmoid(logits.detach()[0])
    soft = (s.log() / tau).softmax(0)
    by_log_score = 3.0 * soft[0] * (torch.tensor([1.0, 0.0, 0.0]) - soft) / tau
    torch.testing.assert_close(logits.grad[0], by_log_score * (1 - s))  # d log s / d logit


def test_without_noise_training_keeps_the_highest_and_still_learns():
    """Table 4c: the plain top-K, with the same gradient."""
    z, logits = torch.randn(1, 8, 4), torch.randn(1, 8, requires_grad=True)
    stp = SoftTopK(4, 0.5, scores=Given(logits), noise=False).train()
    pruned = [stp(z) for _ in range(4)]
    highest = sorted(logits[0].topk(4).indices.tolist())
    assert all(p.kept_index[0].tolist() == highest for p in pruned)
    pruned[0].kept.sum().backward()
    assert logits.grad.abs().sum() > 0


class Given(nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, z):
        return self.logits


# EViT


def test_class_attention_is_the_first_row_of_the_attention_map():
    ours, torchs = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    torchs.in_proj_weight.data, torchs.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    z = torch.randn(2, 7, 12)
    weights = torchs(z, z, z)[1]  # (B, N, N), the mean over the heads
    torch.testing.assert_close(class_attention(ours, z), weights[:, 0, 1:])


def test_class_attention_is_the_same_through_factors_of_the_projection():
    whole, thin = Attention(12, 3), Attention(12, 3)
    thin.qkv = Factors(whole.qkv, rank=12)
    thin.qkv.fill(whole.qkv)
    z = torch.randn(2, 7, 12)
    torch.testing.assert_close(class_attention(thin, z), class_attention(whole, z))


def test_evit_keeps_what_the_class_token_looks_at():
    z, attention = torch.randn(1, 6, 3), torch.tensor([[0.1, 0.3, 0.05, 0.2, 0.25, 0.1]])
    pruned = AttentiveTopK(0.5)(z, attention)
    assert pruned.kept_index.tolist() == [[1, 3, 4]]
    assert torch.equal(pruned.dropped, z[:, [0, 2, 5]])


# DynamicViT


def test_hidden_tokens_do_not_matter_to_the_others():
    layer, z = layer_of(), torch.randn(2, 6, 8)
    kept = torch.tensor([[1.0, 1, 0, 1, 0, 1], [1, 0, 1, 1, 0, 1]])
    masked = attend_kept(layer, z, kept)
    for b in range(2):
        seen = kept[b].bool()
        alone = layer(z[b : b + 1, seen])[0]
        torch.testing.assert_close(masked[b, seen], alone, atol=1e-5, rtol=1e-4)


def test_a_hidden_token_sees_itself_and_the_kept():
    layer, z = layer_of(), torch.randn(1, 4, 8)
    masked = attend_kept(layer, z, torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    torch.testing.assert_close(masked[:, 2], layer(z[:, :3])[:, 2], atol=1e-5, rtol=1e-4)


def test_attention_to_a_hidden_token_teaches_its_decision():
    kept = torch.tensor([[1.0, 1.0, 0.0, 1.0]], requires_grad=True)
    attend_kept(layer_of(), torch.randn(1, 4, 8), kept).square().sum().backward()
    assert (kept.grad != 0).all()


def test_a_dropped_token_stays_dropped():
    dynamic, z = DynamicPruning(8, 0.5), torch.randn(4, 50, 8)
    alive = (torch.rand(4, 50) < 0.5).float()
    kept = dynamic.decide(z, alive)
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert (kept <= alive).all()
    kept.sum().backward()
    assert dynamic.scores.score[-1].weight.grad.abs().sum() > 0


def test_decisions_follow_their_probabilities():
    dynamic = DynamicPruning(4, 0.5)
    dynamic.scores = Probability(math.log(3.0))  # sigmoid: 3/4
    share = dynamic.decide(torch.zeros(1, 20_000, 4), torch.ones(1, 20_000)).mean().item()
    assert share == pytest.approx(0.75, abs=0.015)


class Probability(nn.Module):
    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, z, weight=None):
        return torch.full(z.shape[:2], self.logit)


def test_noise_in_half_precision_is_finite(monkeypatch):
    """Of twenty million draws one is so small that half precision rounds it to 0."""
    draw = torch.Tensor.exponential_

    def rounded(tensor):
        return draw(tensor) if tensor.dtype == torch.float32 else tensor.zero_()

    monkeypatch.setattr(torch.Tensor, "exponential_", rounded)
    z = torch.randn(2, 12, 8)
    with torch.autocast("cpu", torch.float16):
        assert SoftTopK(8, 0.5).train()(z).kept.isfinite().all()
        assert DynamicPruning(8, 0.5).decide(z, torch.ones(2, 12)).isfinite().all()


def test_dynamic_inference_keeps_a_fixed_number():
    dynamic, z = DynamicPruning(4, 0.75).eval(), torch.randn(2, 8, 4)
    pruned = dynamic(z)
    assert pruned.kept_index.tolist() == [
        sorted(row.topk(2).indices.tolist()) for row in dynamic.scores(z)
    ]


def test_the_ratio_loss_is_a_squared_distance():
    """r = 0.5: shares 1/2 and 1/4 are due; 3/4, 1/2 of case 0 and 1/2, 0 of case 1 are there."""
    first = torch.tensor([[1.0, 1, 1, 0], [1, 1, 0, 0]])
    second = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]])
    expected = ((1 / 4) ** 2 + 0 + (1 / 4) ** 2 + (1 / 4) ** 2) / 4
    assert ratio_loss([first, second], 0.5).item() == pytest.approx(expected)


# Completion


def parts(channels=8):
    """Six tokens of two cases: 2 and 5 survive, 0 and 4 went first, 1 and 3 next."""
    tokens = [torch.randn(2, n, channels) for n in (3, 2, 2)]
    places = [torch.tensor([p, p]) for p in ([2, 5], [0, 4], [1, 3])]
    return tokens, places, torch.randn(1, 6, channels)


def test_mta_returns_the_pruned_tokens_to_their_places():
    """Without a layer and with maps that change nothing, the input of Eq. 3 comes out."""
    mta = MultiLayerAssembly(8, 2, 2, places=2)
    mta.layer = nn.Identity()
    mta.enter = mta.leave = nn.Identity()
    mta.enter_dropped = nn.ModuleList([nn.Identity(), nn.Identity()])
    (survivors, first, second), (stay, went, next_), position = parts()
    y = mta(survivors, stay, [(first, went), (second, next_)], position)
    one, two = mta.assemble.place
    expected = torch.stack(
        [
            first[:, 0] + one,
            second[:, 0] + two,
            survivors[:, 1],
            second[:, 1] + two,
            first[:, 1] + one,
            survivors[:, 2],
        ],
        dim=1,
    )
    torch.testing.assert_close(y, expected + position)


def test_mim_fills_every_gap_with_the_same_token():
    mim = MaskTokenCompletion(8, 2, 2)
    mim.layer = mim.enter = mim.leave = nn.Identity()
    (survivors, *_), (stay, *_), position = parts()
    y = mim(survivors, stay, [], position) - position
    torch.testing.assert_close(y[:, [2, 5]], survivors[:, 1:])
    torch.testing.assert_close(y[:, [0, 1, 3, 4]], mim.mask.expand(2, 4, 8))


@pytest.mark.parametrize("kind", ["mta", "mim"])
def test_masked_completion_is_sparse_completion(kind):
    """The same tokens, once as lists and once as masks."""
    complete = (
        MultiLayerAssembly(8, 2, 2, places=2) if kind == "mta" else MaskTokenCompletion(8, 2, 2)
    )
    (survivors, first, second), (stay, went, next_), position = parts()
    sparse = complete(survivors, stay, [(first, went), (second, next_)], position)

    def spread(tokens, where):
        index = where[..., None].expand_as(tokens)
        return torch.randn(2, 6, 8).scatter(1, index, tokens), torch.zeros(2, 6).scatter(
            1, where, 1
        )

    z, kept = spread(survivors[:, 1:], stay)
    masked = complete.masked(
        torch.cat([survivors[:, :1], z], dim=1),
        kept,
        [spread(first, went), spread(second, next_)],
        position,
    )
    torch.testing.assert_close(masked, sparse)


# Recomputing


def test_recomputing_changes_no_gradient():
    layer, z = layer_of(), torch.randn(1, 5, 8, requires_grad=True)
    grads = []
    for when in (False, True):
        recomputed(layer, z, when=when).square().sum().backward()
        grads.append([z.grad, *(p.grad for p in layer.parameters())])
        z.grad = None
        layer.zero_grad(set_to_none=True)
    torch.testing.assert_close(*grads)
