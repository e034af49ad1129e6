from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.nn.functional import interpolate, scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas.cost.live_tensors import LiveTensors, run
from nas.cost.meta_autocast import OnDevice
from nas.cost.meta_cache import compute
from nas.cost.torch_counter import OperatorCounter
from search_spaces.meta_network import build_on_meta
from search_spaces.registry import find_preset
from search_spaces.space import spatial_dims
from trainers.step import channels_last


@pytest.mark.parametrize("preset", ["unet-s", "segresnet-s", "hybrid-s", "lightmedseg-small"])
def test_a_pass_makes_the_tensors_that_a_real_one_makes(preset):
    """On the CPU and twice on the meta device: operators, sizes and types, in order."""

    class Trace(LiveTensors):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = super().__torch_dispatch__(func, types, args, kwargs)
            made = [t for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
            told.extend((str(func), t.shape, t.dtype) for t in made)
            return result

    def trace(device, kernel, mode):
        told.clear()
        with torch.device(device):
            network = channels_last(find_preset(preset).build(1, 3)).train()
            x = torch.zeros(2, 1, 32, 16, 16)
        with Trace([*network.parameters(), *network.buffers()], kernel) as live, mode:
            y = network(x)
            return list(told), live.now, y.shape

    told: list = []
    real = trace("cpu", run, nullcontext())
    assert len(real[0]) > 50
    for _ in range(2):
        assert trace("meta", compute, OnDevice("cpu")) == real


CALLS = {
    "conv3d": lambda x, w: torch.conv3d(x, w),
    "linear": lambda x, w: nn.functional.linear(x, w.flatten(0, 3)),
    "product": lambda x, w: x @ x.mT,
    "attention": lambda x, w: scaled_dot_product_attention(*[x.flatten(0, 1)] * 3),
    "layer_norm": lambda x, w: nn.functional.layer_norm(x, (4,)),
    "group_norm": lambda x, w: nn.functional.group_norm(x, 2),
    "instance_norm": lambda x, w: nn.functional.instance_norm(x),
    "softmax": lambda x, w: x.softmax(1),
    "exp": lambda x, w: x.exp(),
    "pool": lambda x, w: nn.functional.avg_pool3d(x, 2),
    "largest": lambda x, w: nn.functional.max_pool3d(x, 2),
    "adaptive": lambda x, w: nn.functional.adaptive_avg_pool3d(x, 2),
    "interpolate": lambda x, w: interpolate(x, scale_factor=2, mode="trilinear"),
    "silu": lambda x, w: nn.functional.silu(x),
    "add": lambda x, w: x + w,
    "cat": lambda x, w: torch.cat([x, x.float()]),
}


@contextmanager
def autocast_to_bfloat16(device):
    """Also for CUDA without a GPU."""
    torch.set_autocast_dtype(device, torch.bfloat16)
    torch.set_autocast_enabled(device, True)
    yield
    torch.set_autocast_enabled(device, False)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_types_are_those_of_autocast(call, given, device):
    """As torch has them for fake tensors, which need no device."""

    def arguments(device):
        sizes = (((2, 4, 4, 4, 4), given), ((2, 4, 1, 4, 4), torch.float32))
        return [torch.empty(size, dtype=kind, device=device) for size, kind in sizes]

    with FakeTensorMode(), autocast_to_bfloat16(device):
        expected = CALLS[call](*arguments(device))
    with OnDevice(device, torch.bfloat16):
        found = CALLS[call](*arguments("meta"))
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)


def test_attention_keeps_no_weights():
    """Q, K, V and what comes out, of 256 tokens in 4 heads of 16, and a sum for each query."""
    q, k, v = (torch.empty(1, 4, 256, 16, device="meta", requires_grad=True) for _ in range(3))
    with LiveTensors([q, k, v], compute) as live, OnDevice("cuda"):
        out = scaled_dot_product_attention(q, k, v)
        assert live.now == 4 * (4 * 256 * 16 + 4 * 256)
    assert out.shape == q.shape


class Compared(TorchDispatchMode):
    """Asks torch, and `compute` twice, the second time from memory."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        truth = func(*args, **(kwargs or {}))
        for _ in range(2):
            assert outlines(compute(func, args, kwargs or {})) == outlines(truth), func
        return truth


def outlines(values):
    tensors = [t for t in tree_leaves(values) if isinstance(t, torch.Tensor)]
    return [(t.shape, t.dtype, t.device) for t in tensors]


@pytest.mark.parametrize(
    "name",
    ["hybrid-adaptive", "hybrid-mamba", "hybrid-routed", "apformer", "deploylite-xs", "unetr-s"],
)
def test_a_network_s_operators(name):
    architecture = find_preset(name)
    sizes = [2 * architecture.stride()] * spatial_dims(architecture)
    network = build_on_meta(architecture, 2, 3).eval()
    with torch.no_grad(), Compared():
        network(torch.empty(2, 2, *sizes, device="meta"))


def empty(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


ASKED = [
    lambda x: F.conv3d(x, empty(6, 2, 3, 1, 2), None, (2, 1, 3), (1, 0, 2), (2, 1, 1), groups=2),
    lambda x: F.conv_transpose3d(x, empty(4, 3, 3, 2, 2), None, 2, 1, 1, 2, (2, 1, 1)),
    lambda x: x + empty(6, 1, 5),
    lambda x: empty(1, 5) * x,
    lambda x: x - empty(2, 1, 1, 1, 1, 1),
    lambda x: 1 - x.half() / 3,
    lambda x: x.mean((-1, 1), keepdim=True),
    lambda x: x.mean((0, 2)),
    lambda x: torch.cat([x, x[:, :, :, :1]], 3),
    lambda x: torch.cat([x, x[..., :1]], -1),
    lambda x: F.interpolate(x, scale_factor=1.5, mode="trilinear"),
    lambda x: F.interpolate(x, (3, 3, 3), mode="nearest"),
    lambda x: torch.addmm(empty(5), x[0, 0, 0], empty(5, 5)),
    lambda x: torch.arange(x.shape[2], device=x.device, dtype=x.dtype),
    lambda x: torch.arange(x.shape[2], device=x.device),
    lambda x: F.softmax(x.half(), -1),
    lambda x: F.group_norm(x.transpose(-1, -2), 2),
    lambda x: x + empty(6, 1, 5, dtype=torch.float64),
    lambda x: x * True,
    lambda x: x + 1j,
    lambda x: torch.arange(2, 7),
    lambda x: torch.arange(2.5, device="meta"),
    lambda x: torch.cat([x, x.half()]),
    lambda x: x.int().mean((1,), dtype=torch.float32),
    lambda x: F.softmax(x.int(), -1, dtype=torch.float32).int() * 2,
]


@pytest.mark.parametrize("ask", ASKED)
def test_an_operator_gives_what_torch_gives(ask):
    with torch.no_grad(), Compared():
        ask(empty(2, 4, 6, 7, 5))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x + empty(4),
        lambda x: x.add_(empty(4)),
        lambda x: torch.cat([x, x[:1]], 1),
        lambda x: torch.addmm(empty(5), x[0, 0, 0], empty(4, 5)),
        lambda x: F.conv3d(x, empty(6, 3, 3, 3, 3)),
        lambda x: F.conv3d(x, empty(6, 4, 9, 9, 9)),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_torch(wrong):
    with torch.no_grad(), pytest.raises(RuntimeError), OperatorCounter():
        wrong(empty(2, 4, 6, 7, 5))


def test_what_has_values_is_computed():
    with OperatorCounter():
        doubled = torch.ones(3).mul_(2)
        assert doubled.tolist() == [2, 2, 2]
        assert torch.zeros(3).add_(doubled).sum() == 6
