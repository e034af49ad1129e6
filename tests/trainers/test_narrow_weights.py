"""Weights cast together give what autocast gives, bit for bit."""

import copy
import logging

import pytest
import torch
from torch import nn

from search_spaces.registry import find_preset
from tests.slow import and_slow
from trainers import narrow_weights
from trainers.narrow_weights import call_narrow, forward_narrow, try_narrow

BF16 = torch.bfloat16
pytestmark = pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")


@pytest.fixture(autouse=True)
def no_onednn():
    """Its bfloat16 gradients of convolutions to a few voxels read memory that nothing wrote."""
    with torch.backends.mkldnn.flags(enabled=False):
        yield


def trained(network, x, narrow):
    """The logits and all gradients of one pass of a copy of the network."""
    network = copy.deepcopy(network)
    torch.manual_seed(0)
    with torch.autocast("cpu", BF16):
        y = call_narrow(network, x, BF16) if narrow else network(x)
    y.float().square().mean().backward()
    return y.detach(), {name: p.grad for name, p in network.named_parameters()}


@pytest.mark.parametrize(
    "name", and_slow(["hybrid-xs", "hybrid-mamba"], ["stp-mta-unetr-tiny", "unetr-s"])
)
def test_values_and_gradients_are_those_of_autocast(name):
    preset = find_preset(name)
    torch.manual_seed(0)
    network = preset.build(1, 3).train()
    if hasattr(network, "recompute"):
        network.recompute = True  # what is computed again casts its weights itself
    x = torch.randn(1, 1, *(2 * stride for stride in preset.strides()))
    (y, gradients), (expected, others) = (trained(network, x, narrow) for narrow in (True, False))
    assert torch.equal(y, expected)
    for parameter, gradient in gradients.items():
        assert (gradient is None) == (others[parameter] is None), parameter
        if gradient is not None:
            assert gradient.dtype == torch.float32
            assert torch.equal(gradient, others[parameter]), parameter


class Odd(nn.Module):
    """A frozen layer, one that is not used, one weight in two places, and a norm."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4)
        self.first.weight.requires_grad_(False)
        self.idle, self.last.weight = nn.Linear(4, 4), nn.Parameter(torch.randn(4, 4))
        self.again = nn.Linear(4, 4)
        self.again.weight = self.last.weight

    def forward(self, x):
        assert self.norm.weight.dtype == torch.float32
        return self.again(self.last(self.norm(self.first(x))))


def test_frozen_idle_and_shared_weights():
    network, x = Odd(), torch.randn(3, 4)
    (y, gradients), (expected, others) = (trained(network, x, narrow) for narrow in (True, False))
    assert torch.equal(y, expected)
    without = {"first.weight", "idle.weight", "idle.bias"}
    for found in (gradients, others):
        assert {name for name, gradient in found.items() if gradient is None} == without
    for name in gradients.keys() - without:
        assert torch.equal(gradients[name], others[name]), name


def test_the_network_has_its_own_weights_afterwards():
    network = nn.Linear(4, 4)
    weight = network.weight
    with torch.autocast("cpu", BF16):
        call_narrow(network, torch.randn(2, 4), BF16)
    assert network.weight is weight and weight.dtype == torch.float32


def test_a_network_that_leaves_autocast_is_run_as_it_is_from_then_on(caplog):
    class Wide(nn.Linear):
        def forward(self, x):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())

    network, x = Wide(4, 4), torch.randn(2, 4)
    with torch.autocast("cpu", BF16), caplog.at_level(logging.INFO):
        for _ in range(2):
            assert torch.equal(try_narrow(network, x, BF16), network(x))
    (line,) = caplog.messages
    assert line.startswith("Wide: its weights are cast one by one: ")


def test_other_errors_are_raised():
    with torch.autocast("cpu", BF16), pytest.raises(RuntimeError, match="shapes cannot be"):
        try_narrow(nn.Linear(4, 4), torch.randn(2, 3), BF16)


def test_on_a_cpu_the_network_is_called_as_it_is(monkeypatch):
    monkeypatch.delattr(narrow_weights, "try_narrow")
    with torch.autocast("cpu", BF16):
        assert forward_narrow(nn.Linear(4, 4), torch.randn(2, 4)).dtype == BF16
