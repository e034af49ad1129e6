"""Convolutions of a single image that torch keeps from oneDNN."""

import copy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from trainers.single_image import onednn_for_single_images
from trainers.step import channels_last
from trainers.trainer import Trainer

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available()
    or not torch.backends.cpu.get_cpu_capability().startswith("AVX"),
    reason="needs oneDNN, on a processor with AVX",
)
SIZE = (16, 20, 18)
ONEDNN = "aten::mkldnn_convolution"


class Operators(TorchDispatchMode):
    """Notes what torch is asked for."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func._schema.name)
        return func(*args, **(kwargs or {}))


def operators(network, x):
    with torch.inference_mode(), onednn_for_single_images(network), Operators() as seen:
        network(x)
    return seen.names


def values_and_gradients(network, x):
    x = x.clone().requires_grad_()
    y = network(x)
    y.backward(torch.sin(torch.arange(y.numel(), dtype=y.dtype)).view_as(y))
    return [y.detach(), x.grad, *(p.grad for p in network.parameters())]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "stride": 2, "bias": False},
        {"kernel_size": (1, 3, 3), "padding": (0, 1, 1), "stride": (1, 2, 1)},
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": 2, "stride": 2},
    ],
)
def test_values_and_gradients_are_those_of_float64(options, layout):
    torch.manual_seed(0)
    network = nn.Conv3d(16, 24, **options)
    x = torch.randn(1, 16, *SIZE)
    expected = values_and_gradients(copy.deepcopy(network).double(), x.double())
    if layout is torch.channels_last_3d:
        channels_last(network)
    with onednn_for_single_images(network):
        found = values_and_gradients(network, x.contiguous(memory_format=layout))
    assert ONEDNN in operators(network, x)
    for ours, exact in zip(found, expected, strict=True):
        assert (ours - exact).abs().max() < 1e-5 * exact.abs().max()


def test_what_needs_no_gradient_has_none():
    network = nn.Conv3d(16, 16, 3)
    network.weight.requires_grad_(False)
    with onednn_for_single_images(network):
        network(torch.randn(1, 16, *SIZE)).sum().backward()
    assert network.weight.grad is None
    assert torch.allclose(network.bias.grad, torch.tensor(14.0 * 18 * 16))


@pytest.mark.parametrize(
    ("network", "x"),
    [
        (nn.Conv3d(16, 16, 3), torch.zeros(2, 16, *SIZE)),
        (nn.Conv3d(16, 16, 3).double(), torch.zeros(1, 16, *SIZE).double()),
        (nn.Conv3d(16, 16, 1), torch.zeros(1, 16, *SIZE)),
        (nn.Conv3d(16, 16, 3), torch.zeros(1, 16, 4, 4, 4)),
        (nn.Conv3d(16, 16, 3, groups=16), torch.zeros(1, 16, *SIZE)),
        (nn.Conv3d(16, 16, 3, padding_mode="replicate", padding=1), torch.zeros(1, 16, *SIZE)),
        (nn.Conv3d(16, 16, 3), torch.zeros(16, *SIZE)),
        (nn.ConvTranspose3d(16, 16, 2, stride=2), torch.zeros(1, 16, *SIZE)),
    ],
    ids=["two", "double", "pointwise", "tiny", "groups", "replicate", "unbatched", "transposed"],
)
def test_other_convolutions_stay_with_torch(network, x):
    assert ONEDNN not in operators(network, x)


def test_autocast_keeps_its_type():
    network = nn.Conv3d(16, 16, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert ONEDNN not in operators(network, torch.zeros(1, 16, *SIZE))


def test_onednn_stays_off_where_it_is_switched_off():
    network = nn.Conv3d(16, 16, 3)
    with torch.backends.mkldnn.flags(enabled=False):
        assert ONEDNN not in operators(network, torch.zeros(1, 16, *SIZE))


def test_a_network_is_afterwards_as_before_also_after_an_error():
    network = nn.Sequential(nn.Conv3d(16, 16, 3))
    before, names = dict(vars(network[0])), list(network.state_dict())
    with pytest.raises(RuntimeError), onednn_for_single_images(network):
        assert vars(network[0]) != before
        assert list(network.state_dict()) == names
        network(torch.zeros(1, 3, *SIZE))
    assert vars(network[0]) == before


def test_two_threads_may_use_one_network():
    network = nn.Sequential(nn.Conv3d(16, 16, 3))
    before = dict(vars(network[0]))
    first, second = (onednn_for_single_images(network) for _ in range(2))
    first.__enter__()
    with second:
        first.__exit__(None, None, None)
    assert vars(network[0]) == before


class Spy(nn.Module):
    """Notes in every pass whether its convolution is oneDNN's."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv3d(1, 4, 3, padding=1)
        self.told = []

    def forward(self, x):
        self.told.append("_conv_forward" in vars(self.convolution))
        return self.convolution(x)


def test_training_and_validation_ask_onednn(phantom):
    from tests.trainers.test_trainer import SHORT

    network = Spy()
    config = SHORT.model_copy(update={"batch": 1, "epochs": 1})
    cache, cases = phantom
    Trainer(network, cache, cases, config, device=torch.device("cpu"), seed=0).run_epoch()
    assert len(network.told) > config.steps_per_epoch
    assert all(network.told)
    assert "_conv_forward" not in vars(network.convolution)
