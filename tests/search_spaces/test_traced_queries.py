"""Pruned queries in a traced network: other images prune others, and none is lost."""

import torch

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
