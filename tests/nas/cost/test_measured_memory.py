import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from benchmarks.measured_memory import training_memory
from nas.cost.live_tensors import LiveTensors

KIB = 1024


def test_live_tensors_are_counted_until_they_die():
    with LiveTensors([]) as live:
        a = torch.zeros(KIB // 4)
        b = torch.zeros(2 * KIB // 4)
        assert live.now == 3 * KIB
        del a
        assert (live.now, live.peak) == (2 * KIB, 3 * KIB)
        del b
    assert live.now == 0


def test_views_and_changes_in_place_take_no_memory():
    known = torch.ones(KIB // 4)
    with LiveTensors([known]) as live:
        half = known[:10].view(2, 5)
        known.mul_(2)
    assert half.shape == (2, 5)
    assert live.peak == 0


def test_a_step_keeps_what_its_backward_pass_needs():
    """Two layers 256 -> 256 without bias on one row: 1 KiB maps. Weights are 2 x 256 KiB."""
    network = nn.Sequential(
        nn.Linear(256, 256, bias=False), nn.Sigmoid(), nn.Linear(256, 256, bias=False)
    )
    memory = training_memory(network, torch.randn(1, 256))
    assert memory.weights == 512 * KIB
    # the sigmoid's output, the logits that the square needs, and the loss
    assert memory.kept == 2 * KIB + 4
    assert memory.peak >= 512 * KIB  # the gradients


def test_recomputed_activations_are_not_kept():
    class Recomputed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(*(nn.Sequential(nn.Linear(64, 64), nn.Tanh()),) * 6)

        def forward(self, x):
            return checkpoint(self.body, x, use_reentrant=False)

    x = torch.randn(100, 64)
    network = Recomputed()
    assert training_memory(network, x).kept < training_memory(network.body, x).kept / 3
