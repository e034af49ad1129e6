"""Pruned queries in a traced or captured network: other images prune others, and none is lost."""

import copy

import torch

from search_spaces.apformer import presets
from search_spaces.blocks import query_pruning
from search_spaces.blocks.query_pruning import QueryGate


def test_a_trace_prunes_by_the_image_it_gets():
    torch.manual_seed(0)
    gate = QueryGate(3, 2, confidence=0.5).eval()

    class Masked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = gate

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kept = self.gate(x)
            return kept.put_back(kept.take(x.flatten(2).transpose(1, 2)))

    network, seen, other = Masked(), torch.randn(2, 2, 3, 3, 3), torch.randn(3, 2, 3, 3, 3)
    with torch.no_grad():
        traced = torch.jit.trace(network, seen, check_trace=False)
        background = gate.classify(other).softmax(1)[:, 0].flatten(1) >= 0.5
        assert background.any() and not background.all()
        expected = other.flatten(2).transpose(1, 2) * ~background[..., None]
        torch.testing.assert_close(traced(other), expected)
        torch.testing.assert_close(network(other), expected)


def test_a_captured_training_pass_has_the_loss_and_gradients_of_an_eager_one(monkeypatch):
    """All queries are computed there, the pruned ones as not valid."""
    torch.manual_seed(0)
    network = presets()["apformer-xs"].build(1, 3).train()
    for module in network.modules():
        if _is_gate(module):
            module.confidence = 0.5
    images, labels = torch.randn(2, 1, 32, 32, 32), torch.randint(3, (2, 1, 32, 32, 32))
    weight, results, shares = torch.randn(2, 3, 32, 32, 32), [], []
    state = copy.deepcopy(network.state_dict())
    for captured in (False, True):
        monkeypatch.setattr(query_pruning, "capturing", lambda now=captured: now)
        network.load_state_dict(state)
        network.zero_grad()
        logits = network(images)
        shares += [m.queries.kept.valid.float().mean() for m in network.modules() if _is_gate(m)]
        terms = network.auxiliary_losses(labels)
        loss = (logits * weight).mean() + sum(terms.values())
        loss.backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        results.append([logits, *terms.values(), *gradients])
    assert any(0 < share < 1 for share in shares)
    assert len(results[0]) == len(results[1])
    for eager, captured in zip(*results, strict=True):
        torch.testing.assert_close(captured, eager, rtol=1e-4, atol=1e-6)


def _is_gate(module):
    return isinstance(module, QueryGate)
