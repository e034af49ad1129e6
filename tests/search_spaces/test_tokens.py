import math

import pytest
import torch
from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.gated_layer import gated_layer
from search_spaces.blocks.mlp import MLP
from search_spaces.blocks.position import sincos_embedding
from search_spaces.blocks.token_assembly import TokenAssembly
from search_spaces.blocks.token_pruning import SoftTopK, split_by_selection, split_by_sort
from search_spaces.blocks.token_stage import TokenStage
from tests.search_spaces.networks import params


def layer_of(gate):
    return gated_layer(8, gate, mixer=lambda: Attention(8, 2), mlp=lambda: MLP(8, 16))


def layers_of(gates):
    return [layer_of(gate) for gate in gates]


# Attention and gates


def test_attention_is_multi_head_attention():
    ours, torchs = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    ours.qkv.weight.data, ours.qkv.bias.data = torchs.in_proj_weight.data, torchs.in_proj_bias.data
    nn.init.normal_(ours.qkv.bias)
    ours.project.load_state_dict(torchs.out_proj.state_dict())
    z = torch.randn(2, 7, 12)
    torch.testing.assert_close(ours(z), torchs(z, z, z, need_weights=False)[0])


def test_heads_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match="10 channels do not divide into 4 heads"):
        Attention(10, 4)


def test_the_gate_none_is_the_identity_without_parameters():
    layer, z = layer_of("none"), torch.randn(1, 5, 8)
    assert params(layer) == 0
    assert torch.equal(layer(z), z)


def test_each_gate_keeps_its_part():
    both, z = layer_of("both"), torch.randn(2, 5, 8)
    mixer, mlp = layer_of("mixer"), layer_of("mlp")
    mixer.load_state_dict(both.state_dict(), strict=False)
    mlp.load_state_dict(both.state_dict(), strict=False)
    assert params(both) == params(mixer) + params(mlp)
    torch.testing.assert_close(mixer(z), z + both.mixer(both.mixer_norm(z)))
    torch.testing.assert_close(mlp(z), z + both.mlp(both.mlp_norm(z)))
    torch.testing.assert_close(both(z), mlp(mixer(z)))


def test_the_mlp_gate_mixes_no_tokens():
    layer, z = layer_of("mlp"), torch.randn(1, 5, 8)
    torch.testing.assert_close(layer(z)[:, 2:3], layer(z[:, 2:3]))


# Soft top-K


@pytest.mark.parametrize(
    ("n", "ratio", "kept"),
    [(10, 0.9, 1), (10, 0.25, 7), (8, 0.5, 4), (7, 0.75, 1), (1728, 0.9, 172), (5, 0.9, 1)],
)
@pytest.mark.parametrize("training", [True, False])
def test_pruning_keeps_the_share_and_loses_no_index(n, ratio, kept, training):
    z = torch.randn(2, n, 4)
    pruned = SoftTopK(4, ratio).train(training)(z)
    assert pruned.kept.shape == (2, kept, 4)
    assert pruned.dropped.shape == (2, n - kept, 4)
    both = torch.cat([pruned.kept_index, pruned.dropped_index], dim=1)
    assert (both.sort(1).values == torch.arange(n)).all()


def test_inference_keeps_the_highest_scores():
    stp, z = SoftTopK(6, 0.5).eval(), torch.randn(3, 8, 6)
    mean = stp.local(z).mean(1, keepdim=True).expand(-1, 8, -1)
    scores = torch.sigmoid(stp.score(torch.cat([z, mean], -1)))[..., 0]  # Eq. 1
    pruned = stp(z)
    for b in range(3):
        best = scores[b].topk(4).indices.sort().values
        assert pruned.kept_index[b].tolist() == best.tolist()
        assert torch.equal(pruned.kept[b], z[b, best])
        assert torch.equal(pruned.dropped[b], z[b, pruned.dropped_index[b]])
    assert torch.equal(stp(z).kept_index, pruned.kept_index)


def test_scores_in_half_precision_are_ranked_as_their_logits():
    """The logarithm of their sigmoid would have some twenty values near -0.69."""
    logits = (0.02 * torch.randn(1, 1728)).bfloat16()
    stp = SoftTopK(4, 0.9, scores=lambda z: logits).eval()
    pruned = stp(torch.randn(1, 1728, 4).bfloat16())
    dropped = logits.gather(1, pruned.dropped_index)
    assert logits.gather(1, pruned.kept_index).min() >= dropped.max()
    assert stp.train()(torch.randn(1, 1728, 4).bfloat16()).kept.dtype == torch.bfloat16


@pytest.mark.parametrize("keep", [1, 75, 300])
def test_the_highest_scores_are_split_off_by_a_sort_or_a_selection(keep):
    scores = torch.randn(4, 301, generator=torch.Generator().manual_seed(keep))
    sorts, selects = split_by_sort(scores, keep), split_by_selection(scores, keep)
    assert all(map(torch.equal, sorts, selects))


@pytest.mark.parametrize("split", [split_by_sort, split_by_selection])
def test_equal_scores_are_kept_as_often_as_there_is_room(split):
    scores = torch.tensor([[1.0, 3.0, 1.0, 2.0, 1.0, 1.0], [0.0] * 6])
    kept, dropped = split(scores, 3)
    assert scores.gather(1, kept)[0].sort().values.tolist() == [1, 2, 3]
    for found in (kept, dropped):
        assert torch.equal(found, found.sort(dim=1).values)
    every = torch.cat([kept, dropped], dim=1).sort(dim=1).values
    assert every.tolist() == [[0, 1, 2, 3, 4, 5]] * 2


def test_training_keeps_the_values_and_teaches_the_scores():
    torch.manual_seed(0)
    stp, z = SoftTopK(6, 0.5).train(), torch.randn(2, 8, 6)
    pruned = stp(z)
    kept = z.gather(1, pruned.kept_index[..., None].expand(-1, -1, 6))
    torch.testing.assert_close(pruned.kept, kept)  # straight through: the gradient alone is soft
    pruned.kept.square().sum().backward()
    assert all(p.grad is not None for p in stp.parameters())
    assert stp.score[-1].weight.grad.abs().sum() > 0


def test_training_draws_in_proportion_to_the_scores():
    """Gumbel noise on log-scores, K = 1: token i is kept with probability score_i / sum."""
    torch.manual_seed(0)
    stp = SoftTopK(1, 0.6).train()
    stp.score = FixedScores()
    draws = stp(torch.zeros(20_000, 3, 1)).kept_index[:, 0]
    assert (draws.bincount() / 20_000).tolist() == pytest.approx([0.5, 0.25, 0.25], abs=0.012)


class FixedScores(nn.Module):
    """sigmoid(0) = 1/2, and sigmoid(-log 3) = 1/4 twice."""

    def forward(self, z):
        logits = torch.tensor([0.0, -math.log(3.0), -math.log(3.0)])
        return logits.expand(z.shape[0], 3)[..., None]


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5])
def test_a_ratio_that_prunes_none_or_all_is_refused(ratio):
    with pytest.raises(ValueError, match=f"{ratio} is not between 0 and 1"):
        SoftTopK(4, ratio)


# Assembly


def test_assembly_puts_every_token_back_in_its_place():
    """Six tokens, 0 to 5: places 1 and 4 are pruned first, 0 and 2 next; 3 and 5 survive."""
    assembly = TokenAssembly(1, places=2)
    assembly.place.data = torch.tensor([[0.1], [0.2]])
    tokens = torch.arange(6.0).view(1, 6, 1)
    parts = [torch.tensor([index]) for index in ([3, 5], [1, 4], [0, 2])]
    survivors, first, second = (tokens[:, index[0]] for index in parts)
    position = 10 * torch.arange(6.0).view(1, 6, 1)
    y = assembly(survivors, parts[0], [(first, parts[1]), (second, parts[2])], position)
    expected = torch.tensor([0.2, 11.1, 22.2, 33.0, 44.1, 55.0])
    torch.testing.assert_close(y.flatten(), expected)


def test_cases_of_a_batch_are_put_back_each_in_its_own_order():
    assembly, tokens = TokenAssembly(3, places=1), torch.randn(2, 4, 3)
    nn.init.zeros_(assembly.place)
    order = torch.tensor([[3, 0, 2, 1], [1, 2, 3, 0]])
    mixed = tokens.gather(1, order[..., None].expand(-1, -1, 3))
    y = assembly(mixed[:, :2], order[:, :2], [(mixed[:, 2:], order[:, 2:])], torch.zeros(1, 4, 3))
    torch.testing.assert_close(y, tokens)


# Positions


def test_positions_are_the_sines_of_the_paper():
    # One axis, 4 channels: frequencies 1 and 1/100.
    row = sincos_embedding((3,), 4)[0, 2]
    expected = [math.sin(2), math.sin(0.02), math.cos(2), math.cos(0.02)]
    torch.testing.assert_close(row, torch.tensor(expected))


@pytest.mark.parametrize("channels", [6, 8, 14, 32])
def test_distinct_places_have_distinct_positions(channels):
    table = sincos_embedding((3, 4, 5), channels)
    assert table.shape == (1, 60, channels)
    distance = torch.cdist(table[0], table[0]) + torch.eye(60)
    assert distance.min() > 1e-3


def test_positions_run_along_the_last_axis_first():
    table = sincos_embedding((2, 3), 8)[0]
    assert torch.equal(table[0, :4], table[2, :4])  # same place along the first axis
    assert torch.equal(table[1, 4:], table[4, 4:])  # same place along the second


def test_positions_are_made_once_but_on_the_meta_device():
    size, device = (3, 2, 7), torch.device("cpu")
    table = sincos_embedding(size, 12, device)
    assert sincos_embedding(size, 12, device) is table
    meta = [sincos_embedding(size, 12, torch.device("meta")) for _ in range(2)]
    assert meta[0] is not meta[1] and meta[0].is_meta


def test_channels_too_few_for_positions_get_none():
    assert torch.equal(sincos_embedding((2, 2, 2), 4), torch.zeros(1, 8, 4))


# The stage


@pytest.mark.parametrize(("gates", "places"), [(1, 0), (2, 0), (3, 1), (4, 2)])
def test_pruning_follows_every_layer_but_the_last_two(gates, places):
    stage = TokenStage(8, layers_of(["both"] * gates), prune=0.5)
    assert len(stage.prune) == places


@pytest.mark.parametrize("size", [(2, 4, 3), (4, 5)])
def test_a_stage_keeps_the_shape_of_its_map(size):
    stage = TokenStage(8, layers_of(["both"] * 4), prune=0.75)
    x = torch.randn(2, 8, *size)
    assert stage(x).shape == x.shape


@pytest.mark.parametrize(
    ("places", "tokens"), [({}, [64, 32, 16, 64]), ({"places": 1}, [64, 32, 32, 64])]
)
def test_pruned_layers_see_fewer_tokens_and_the_last_all_again(places, tokens):
    """Fewer places are the first."""
    stage = TokenStage(8, layers_of(["both"] * 4), prune=0.5, **places)
    seen = []
    for layer in stage.layers:
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    stage(torch.randn(1, 8, 4, 4, 4))
    assert seen == tokens


def test_every_token_is_back_in_its_place_after_the_stage():
    """Layers that do nothing and markers of zero leave x + norm(x + 2 positions)."""
    stage = TokenStage(8, layers_of(["none"] * 4), prune=0.5).eval()
    nn.init.zeros_(stage.assemble.place)
    x = torch.randn(2, 8, 2, 3, 4)
    position = sincos_embedding((2, 3, 4), 8).transpose(1, 2).reshape(1, 8, 2, 3, 4)
    z = (x + 2 * position).movedim(1, -1)
    torch.testing.assert_close(stage(x), x + stage.norm(z).movedim(-1, 1))
