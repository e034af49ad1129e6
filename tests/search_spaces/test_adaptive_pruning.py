"""The blocks of APFormer, against hand calculations on tiny matrices."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from search_spaces.blocks.adaptive_pruning import WEIGHT, AdaptivelyPruned
from search_spaces.blocks.attention import Attention
from search_spaces.blocks.attention_regularisation import entropy_loss, ssa_loss, symmetry_loss
from search_spaces.blocks.dependency_pruning import (
    DependencyPruning,
    masked_weights,
    row_thresholds,
)
from search_spaces.blocks.grpe import GRPE
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import KeptQueries, Queries, QueryGate

# Self-supervised self-attention


def test_a_symmetric_matrix_has_no_symmetry_loss():
    assert symmetry_loss(torch.tensor([[0.9, 0.1], [0.1, 0.9]])) == 0


def test_symmetry_loss_by_hand():
    """S = (0.5^2 + 2 * 0.5 * 1 + 0^2) / (0.5^2 + 0.5^2 + 1^2) = 1.25 / 1.5."""
    attention = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    assert symmetry_loss(attention, slack=0.0).item() == pytest.approx(1 - 1.25 / 1.5)
    assert symmetry_loss(attention, slack=0.1).item() == pytest.approx(1 - 1.25 / 1.5 - 0.1)
    assert symmetry_loss(attention, slack=0.2) == 0


def test_entropy_loss_is_that_of_the_most_certain_row():
    """Rows of 2 bits, 1 bit and 1.5 bits of at most 2."""
    attention = torch.tensor(
        [[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0], [0.5, 0.25, 0.25, 0.0]]
    )
    assert entropy_loss(attention, slack=0.2).item() == pytest.approx(0.5 - 0.2)
    without = torch.tensor([True, False, True])
    assert entropy_loss(attention, slack=0.2, valid=without).item() == pytest.approx(0.75 - 0.2)
    assert entropy_loss(attention, slack=0.6) == 0
    assert entropy_loss(attention, slack=0.2, valid=torch.zeros(3, dtype=torch.bool)) == 0


def test_ssa_weighs_symmetry_by_08_and_entropy_by_02():
    """Uniform rows, symmetric: only entropy, 1 - 0.9. The other matrix: symmetry alone."""
    uniform = torch.full((1, 1, 2, 2), 0.5)
    assert ssa_loss(uniform).item() == pytest.approx(0.2 * 0.1)
    lopsided = torch.tensor([[[[0.5, 0.5], [1.0, 0.0]]]])
    assert ssa_loss(lopsided).item() == pytest.approx(0.8 * (1 - 1.25 / 1.5 - 0.1))


def test_ssa_of_pruned_attention_is_that_of_the_kept_queries():
    """Of three patches 0 and 2 ask; among them the matrix is the lopsided one, scaled by 0.8."""
    rows = torch.tensor([[[[0.4, 0.2, 0.4], [0.8, 0.2, 0.0]]]], requires_grad=True)
    kept = KeptQueries(torch.tensor([[0, 2]]), torch.ones(1, 2, dtype=torch.bool), 3)
    loss = ssa_loss(rows, kept)
    assert loss.item() == pytest.approx(0.8 * (1 - 1.25 / 1.5 - 0.1))
    filled = KeptQueries(torch.tensor([[0, 2]]), torch.tensor([[False, False]]), 3)
    assert ssa_loss(rows, filled) == 0
    (loss + ssa_loss(rows, filled)).backward()
    assert rows.grad.isfinite().all()


def test_the_losses_have_finite_gradients_where_attention_is_zero_or_one():
    attention = torch.eye(3)[None, None].requires_grad_()
    (symmetry_loss(attention, -1.0) + entropy_loss(attention, -1.0)).sum().backward()
    assert attention.grad.isfinite().all()


# Gaussian-prior relative position


@pytest.mark.parametrize(("spatial_dims", "heads"), [(2, 6), (2, 1), (3, 2)])
def test_a_shared_table_and_a_width_a_head_are_4n_plus_h(spatial_dims, heads):
    reach = 4
    grpe = GRPE(spatial_dims, heads, reach, shared=True)
    n = reach**spatial_dims
    assert sum(p.numel() for p in grpe.parameters()) == 2**spatial_dims * n + heads


def test_the_gaussian_is_that_of_equation_8():
    grpe = GRPE(2, 2, reach=4)
    with torch.no_grad():
        grpe.theta.copy_(torch.tensor([0.25, 0.5]))  # 1 and 2 patches
    bias = grpe((4, 4))
    assert bias.shape == (1, 2, 16, 16)
    i, j = 1 * 4 + 2, 3 * 4 + 3  # two rows and one column apart
    expected = [math.exp(-5 / 2), math.exp(-5 / 8)]
    assert bias[0, :, i, j].tolist() == pytest.approx(expected, rel=1e-5)
    assert bias[0, :, i, i].tolist() == [1, 1]


@pytest.mark.parametrize("shared", [True, False])
def test_the_table_tells_an_offset_and_its_direction(shared):
    grpe = GRPE(2, 1, reach=3, shared=shared)
    with torch.no_grad():
        grpe.theta.fill_(1e-6)  # no Gaussian beside the table
        grpe.table.copy_(torch.arange(grpe.table.numel())[:, None])
    relative = grpe((3, 3))[0, 0] - torch.eye(9)
    side = 6 if shared else 5
    middle = 3 if shared else 2
    for i in range(9):
        for j in range(9):
            down, right = i // 3 - j // 3, i % 3 - j % 3
            assert relative[i, j] == side * (down + middle) + right + middle


def test_an_offset_means_the_same_at_any_size_and_beyond_the_reach_the_outermost():
    torch.manual_seed(0)
    grpe = GRPE(1, 2, reach=4)
    nn.init.normal_(grpe.table)
    nn.init.constant_(grpe.theta, 1e-6)
    small, reference, large = (grpe((n,))[0] for n in (2, 4, 7))
    torch.testing.assert_close(small, reference[:, :2, :2])
    torch.testing.assert_close(large[:, :4, :4], reference)
    assert torch.equal(large[:, 0, 6], reference[:, 0, 3])
    assert torch.equal(large[:, 6, 1], reference[:, 3, 0])


def test_the_positions_of_some_queries_are_their_rows():
    torch.manual_seed(0)
    grpe = GRPE(2, 3, reach=4)
    nn.init.normal_(grpe.table)
    rows = torch.tensor([[0, 5, 7], [1, 2, 11]])
    whole = grpe((3, 4))[0]
    torch.testing.assert_close(grpe((3, 4), rows), torch.stack([whole[:, r] for r in rows]))


# Queries


def gate(pruned):
    """A gate on one channel: sure of background exactly where `pruned` (B, H, W) says."""
    made = QueryGate(2, 1, confidence=0.9)
    with torch.no_grad():
        made.classify.weight.copy_(torch.tensor([10.0, -10.0]).view(2, 1, 1, 1))
        made.classify.bias.zero_()
    return made, torch.where(torch.tensor(pruned), 1.0, -1.0)[:, None]


HALF = [[[True, False, True], [False, True, True]], [[False, False, False], [True, True, True]]]


def test_the_gate_keeps_what_is_not_surely_background():
    made, x = gate(HALF)
    kept = made(x)
    assert kept is made.queries.kept
    assert kept.tokens == 6
    assert kept.index.shape == (2, 3)  # the batch's maximum
    assert kept.valid.tolist() == [[True, True, False], [True, True, True]]
    assert kept.index[0, :2].tolist() == [1, 3]
    assert kept.index[1].tolist() == [0, 1, 2]


def test_a_gate_can_keep_nothing():
    made, x = gate([[[True, True]]])
    kept = made(x)
    assert kept.index.shape == (1, 0)
    attention = PrunedAttention(4, 2, queries=made.queries, dependencies=DependencyPruning(2))
    z = torch.randn(1, 2, 4)
    assert torch.equal(attention(z), torch.zeros(1, 2, 4))


def test_the_gates_loss_is_cross_entropy_with_the_downsampled_mask():
    torch.manual_seed(0)
    made, x = QueryGate(2, 3), torch.randn(2, 3, 2, 2)
    target = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    target[0, 0, 5, 1] = 2  # one labelled voxel makes its patch, row 1 column 0, foreground
    mask = torch.zeros(2, 2, 2, dtype=torch.long)
    mask[0, 1, 0] = 1
    made(x)
    torch.testing.assert_close(made.loss(target), cross_entropy(made.classify(x), mask))
    with pytest.raises(RuntimeError, match="no training pass"):
        made.loss(target)


# Dependencies


def test_a_threshold_lies_between_the_rows_least_and_largest():
    rows = torch.tensor([[0.1, 0.2, 0.7], [0.2, 0.3, 0.5]])
    share = torch.tensor([[0.5], [0.25]])
    assert row_thresholds(rows, share).flatten().tolist() == pytest.approx([0.4, 0.275])


def test_the_masked_softmax_by_hand():
    """e^0, e^ln2 and e^ln3 are 1, 2 and 3; the second is masked."""
    powers, mask = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, True])
    assert masked_weights(powers, mask).tolist() == pytest.approx([0.25, 0, 0.75], abs=1e-5)


def test_dependencies_below_the_threshold_are_pruned():
    """Weights 1/6, 2/6, 3/6. W_t = 0 and g = 0: T = 1/6 + 2/6 / 4 = 1/4 leaves 2 and 3."""
    pruning = DependencyPruning(4, frozen_rounds=0).eval()
    with torch.no_grad():
        pruning.threshold.weight.zero_()
        pruning.g.zero_()
    scores = torch.tensor([1.0, 2.0, 3.0]).log().view(1, 1, 1, 3)
    weights = pruning(scores, torch.randn(1, 1, 1, 4))
    assert weights.flatten().tolist() == pytest.approx([0, 0.4, 0.6], abs=1e-5)
    assert pruning.pruned_and_seen() == (1, 3)
    assert pruning.pruned_and_seen() == (0, 0)


def test_compiled_passes_are_not_counted():
    """Every count would be another number to compile for."""
    compiled, plain = (QueryGate(2, 4, confidence=0.5).eval() for _ in range(2))
    x = torch.randn(1, 4, 6, 6)
    torch.compile(compiled, backend="eager")(x)
    plain(x)
    assert compiled.pruned_and_seen() == (0, 0)
    assert plain.pruned_and_seen()[1] == 36


def test_pruning_is_a_softmax_over_what_reaches_the_threshold():
    """Against Eq. 13 and 14 written out, row by row, on the softmax of Eq. 12."""
    torch.manual_seed(0)
    pruning = DependencyPruning(4).eval()
    nn.init.constant_(pruning.g, 0.5)
    scores, q = 3 * torch.randn(2, 3, 5, 7), torch.randn(2, 3, 5, 4)
    found = pruning(scores, q)
    for place in [(b, h, k) for b in range(2) for h in range(3) for k in range(5)]:
        row = scores[place].softmax(0)
        projected = (q[place] @ pruning.threshold.weight[0]).item()
        width = float(row.max() - row.min())
        limit = float(row.min()) + width / ((1 + math.exp(-projected)) * (1 + math.exp(-0.5)))
        expected = scores[place].masked_fill(row < limit, -torch.inf).softmax(0)
        torch.testing.assert_close(found[place], expected, rtol=1e-4, atol=1e-5)


def test_the_first_threshold_is_low():
    """g = -2 and W_t = 0: a share of 0.5 * sigmoid(-2) = 5.96% of the row's range."""
    pruning = DependencyPruning(4).eval()
    nn.init.zeros_(pruning.threshold.weight)
    heights = torch.tensor([0.0, 0.059, 0.06, 1.0])
    attention = 0.1 + 0.4 * heights
    weights = pruning(attention.log().view(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
    assert (weights.flatten() > 0).tolist() == [False, False, True, True]


def test_pruning_is_the_same_in_training_and_teaches_the_threshold():
    torch.manual_seed(0)
    pruning = DependencyPruning(4, frozen_rounds=0)
    nn.init.constant_(pruning.g, 1.0)
    scores, q = torch.randn(2, 3, 5, 6), torch.randn(2, 3, 5, 4)
    trained = pruning(scores, q)
    (trained * torch.randn_like(trained)).sum().backward()
    torch.testing.assert_close(trained, pruning.eval()(scores, q))
    assert (trained == 0).any()
    assert pruning.g.grad.abs() > 0
    assert pruning.threshold.weight.grad.abs().min() > 0


def test_g_is_trained_only_after_a_hundred_rounds():
    torch.manual_seed(0)
    pruning = DependencyPruning(4)
    optimizer = torch.optim.AdamW(pruning.parameters(), lr=0.1, weight_decay=0.1)
    seen = []
    for epoch in range(103):
        pruning.begin_epoch(epoch)
        optimizer.zero_grad()
        weights = pruning(torch.randn(1, 1, 5, 6), torch.randn(1, 1, 5, 4))
        weights.square().sum().backward()
        optimizer.step()
        seen.append(pruning.g.item())
    assert seen[:100] == [-2.0] * 100
    assert len(set(seen[99:])) == 4


@pytest.mark.parametrize(
    ("rounds", "epochs", "frozen"), [(100, 6, 2), (100, 20, 5), (20, 40, 2), (5, 4, 1), (0, 6, 0)]
)
def test_g_waits_for_the_same_share_of_any_schedule(rounds, epochs, frozen):
    """The paper's 100 of 400 epochs are a quarter; a share of an epoch counts as one."""
    pruning = DependencyPruning(4, rounds)
    pruning.begin_training(epochs)
    trained = []
    for epoch in range(epochs):
        pruning.begin_epoch(epoch)
        trained.append(pruning.g.requires_grad)
    assert trained == [False] * frozen + [True] * (epochs - frozen)


# Attention


def both(**options):
    """An Attention, and a PrunedAttention of the same weights."""
    torch.manual_seed(0)
    plain = Attention(8, 2)
    pruned = PrunedAttention(8, 2, **options)
    pruned.load_state_dict(plain.state_dict(), strict=False)
    return plain, pruned


def test_without_pruning_it_is_attention():
    plain, pruned = both()
    z, mask = torch.randn(2, 6, 8), torch.rand(2, 6, 6) > 0.5
    mask |= torch.eye(6, dtype=torch.bool)
    torch.testing.assert_close(pruned(z), plain(z))
    torch.testing.assert_close(pruned(z, None, mask), plain(z, None, mask))


def test_kept_queries_get_what_they_would_and_pruned_ones_nothing():
    made, x = gate(HALF)
    plain, pruned = both(queries=made.queries)
    kept = made(x)
    z, mask = torch.randn(2, 6, 8), torch.rand(2, 6, 6) > 0.5
    mask |= torch.eye(6, dtype=torch.bool)
    asks = ~torch.tensor(HALF).flatten(1)[..., None]
    assert int(kept.valid.sum()) == int(asks.sum()) == 5
    torch.testing.assert_close(pruned(z), plain(z) * asks)
    torch.testing.assert_close(pruned(z, None, mask), plain(z, None, mask) * asks)


def test_pruned_queries_are_not_computed(monkeypatch):
    """The projection of queries, the one of results and the scores see three rows, not six."""
    made, x = gate(HALF)
    _, pruned = both(queries=made.queries, dependencies=DependencyPruning(4))
    made(x)
    seen = {}
    pruned.project.register_forward_pre_hook(lambda _, inputs: seen.update(out=inputs[0].shape[1]))
    pruned.dependencies.register_forward_pre_hook(
        lambda _, inputs: seen.update(scores=inputs[0].shape, q=inputs[1].shape)
    )
    pruned(torch.randn(2, 6, 8))
    assert seen == {"out": 3, "scores": (2, 2, 3, 6), "q": (2, 2, 3, 4)}


def test_patches_of_another_grid_than_the_gates_are_refused():
    made, x = gate(HALF)
    attention = PrunedAttention(8, 2, queries=made.queries)
    made(x)
    with pytest.raises(ValueError, match="2 sets of 7 patches; the gate decided for 2 of 6"):
        attention(torch.randn(2, 7, 8))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "parts", [("position",), ("dependencies",), ("queries", "position", "dependencies")]
)
def test_it_runs_with_all_that_is_in_it_in_half_precision(parts, half):
    """Positions and thresholds are worked out in single precision, and values have half."""
    torch.manual_seed(0)
    made, x = gate(HALF)
    made(x)
    every = {
        "queries": made.queries,
        "position": GRPE(2, 2, reach=3),
        "dependencies": DependencyPruning(4),
    }
    attention = PrunedAttention(8, 2, **{name: every[name] for name in parts}).eval()
    z = torch.randn(2, 6, 8)
    with torch.no_grad():
        single = attention(z, (2, 3))
        found = attention.to(half)(z.to(half), (2, 3))
    assert found.dtype == half
    torch.testing.assert_close(found.float(), single, atol=0.05, rtol=0.05)


def test_channels_that_the_heads_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="8 channels do not divide into 3 heads"):
        PrunedAttention(8, 3)
    assert PrunedAttention(8, 3, 5)(torch.randn(1, 4, 8)).shape == (1, 4, 8)


# What a network of these reports


class Net(AdaptivelyPruned):
    def __init__(self):
        super().__init__()
        self.gate, _ = gate(HALF)
        self.attention = PrunedAttention(
            8, 2, queries=self.gate.queries, dependencies=DependencyPruning(4), regularise=True
        )

    def forward(self, x, z):
        self.gate(x)
        return self.attention(z)


def test_the_terms_of_a_training_pass_are_taken_once():
    torch.manual_seed(0)
    net, (_, x) = Net(), gate(HALF)
    net(x, torch.randn(2, 6, 8))
    target = torch.zeros(2, 1, 4, 6, dtype=torch.long)
    mask = torch.zeros(2, 2, 3, dtype=torch.long)
    losses = net.auxiliary_losses(target)
    assert losses.keys() == {"gate", "ssa"}
    expected = WEIGHT * cross_entropy(net.gate.classify(x), mask)
    torch.testing.assert_close(losses["gate"], expected)
    assert net.attention.take_loss() is None


def test_a_patch_without_a_voxel_that_counts_is_no_lesson_of_the_gate():
    """Patches of 2 x 2: background, ignored with and without background, foreground beside it."""
    torch.manual_seed(0)
    net, (_, x) = Net(), gate(HALF)
    net(x, torch.randn(2, 6, 8))
    target = torch.zeros(2, 1, 4, 6, dtype=torch.long)
    target[0, 0, :2, 2:4] = target[0, 0, 0, 4:] = target[1] = -1
    target[0, 0, 2, 0] = 1
    mask = torch.tensor([[0, -1, 0, 1, 0, 0], [-1] * 6]).view(2, 2, 3)
    expected = WEIGHT * cross_entropy(net.gate.classify(x), mask, ignore_index=-1)
    torch.testing.assert_close(net.auxiliary_losses(target)["gate"], expected)
    net(x, torch.randn(2, 6, 8))
    assert net.auxiliary_losses(torch.full_like(target, -1))["gate"] == 0


def test_rates_are_of_the_eval_passes_since_the_last_call():
    """Of 2 x 6 queries 7 are pruned. Rows: of 5 kept queries, 2 heads and 6 keys each."""
    torch.manual_seed(0)
    net, (_, x) = Net(), gate(HALF)
    z = torch.randn(2, 6, 8)
    net(x, z)  # training does not count
    net.eval()
    pruned = []
    net.attention.dependencies.register_forward_hook(
        lambda m, inputs, weights: pruned.append((weights == 0) & inputs[2][:, None, :, None])
    )
    net(x, z)
    net(x[1:], z[1:])
    rates = net.measured()
    assert rates["alpha"] == pytest.approx((7 + 3) / (12 + 6))
    dropped = sum(int(p.sum()) for p in pruned)
    assert rates["lambda"] == pytest.approx(dropped / ((5 + 3) * 2 * 6))
    assert 0 < rates["lambda"] < 1
    assert net.measured() == {}


def test_a_network_that_asks_everything_has_no_rates():
    net = AdaptivelyPruned()
    net.attention = PrunedAttention(8, 2, queries=Queries()).eval()
    net.attention(torch.randn(1, 4, 8))
    assert net.measured() == {}
