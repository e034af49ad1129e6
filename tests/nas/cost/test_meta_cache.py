from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import interpolate, scaled_dot_product_attention
from torch.utils._pytree import tree_leaves

from nas.cost.live_tensors import LiveTensors, run
from nas.cost.meta_autocast import OnDevice
from nas.cost.meta_cache import compute
from search_spaces.registry import find_preset
from trainers.trainer import channels_last


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
