"""Operators answered by shape alone are what torch makes of them."""

from collections import Counter

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from nas.cost.meta_network import build_on_meta, by_shape, gc_disabled
from nas.cost.torch_counter import is_free
from search_spaces.registry import find_preset
from search_spaces.space import spatial_dims

aten = torch.ops.aten


class Compared(TorchDispatchMode):
    """Asks both; `answered`: how often there was an answer by shape, by operator."""

    def __init__(self):
        super().__init__()
        self.answered = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        operator, named = func.overloadpacket, kwargs or {}
        answer = by_shape(operator, args, named)
        truth = func(*args, **named)
        if answer is not None:
            self.answered[operator] += 1
            first, true = (t[0] if isinstance(t, tuple) else t for t in (answer, truth))
            assert (first.shape, first.dtype) == (true.shape, true.dtype), func
            assert first.is_meta == true.is_meta, func
        return truth


@pytest.mark.parametrize(
    "name",
    ["hybrid-adaptive", "hybrid-mamba", "hybrid-routed", "apformer", "deploylite-xs", "unetr-s"],
)
def test_a_network_s_operators(name):
    architecture = find_preset(name)
    sizes = [2 * architecture.stride()] * spatial_dims(architecture)
    network = build_on_meta(architecture, 2, 3).eval()
    with torch.no_grad(), Compared() as mode:
        network(torch.empty(2, 2, *sizes, device="meta"))
    assert mode.answered[aten.convolution] > 0
    assert mode.answered.total() > 30


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
]


@pytest.mark.parametrize("ask", ASKED)
def test_an_operator(ask):
    with torch.no_grad(), Compared() as mode:
        ask(empty(2, 4, 6, 7, 5))
    assert mode.answered.total() >= 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x + empty(6, 1, 5, dtype=torch.float64),
        lambda x: x * True,
        lambda x: x + 1j,
        lambda x: torch.arange(2, 7),
        lambda x: torch.arange(2.5, device="meta"),
        lambda x: torch.cat([x, x.half()]),
        lambda x: x.int().mean((1,), dtype=torch.float32),
        lambda x: F.softmax(x.int(), -1, dtype=torch.float32).int() * 2,
    ],
)
def test_what_torch_has_to_say_is_left_to_it(ask):
    with torch.no_grad(), Compared():
        ask(empty(2, 4, 6, 7, 5))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x + empty(4),
        lambda x: torch.cat([x, x[:1]], 1),
        lambda x: torch.addmm(empty(5), x[0, 0, 0], empty(4, 5)),
        lambda x: F.conv3d(x, empty(6, 3, 3, 3, 3)),
        lambda x: F.conv3d(x, empty(6, 4, 9, 9, 9)),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_torch(wrong):
    with torch.no_grad(), pytest.raises(RuntimeError), Compared():
        wrong(empty(2, 4, 6, 7, 5))


def test_parameters_have_their_shapes_and_no_values():
    network = build_on_meta(find_preset("swin-unetr-s"), 1, 2)
    real = find_preset("swin-unetr-s").build(1, 2)
    shapes = {name: p.shape for name, p in network.named_parameters()}
    assert shapes == {name: p.shape for name, p in real.named_parameters()}
    assert all(p.is_meta for p in network.parameters())


def test_the_garbage_collector_is_left_as_it_was():
    import gc

    with pytest.raises(KeyError), gc_disabled():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("operator", "free"),
    [
        (aten.add.Tensor, True),
        (aten.gelu.default, True),
        (aten.sum.dim_IntList, True),
        (aten.view.default, True),
        (aten.native_group_norm.default, True),
        (aten.upsample_trilinear3d.default, True),
        (aten.max_pool3d_with_indices.default, True),
        (aten.mv.default, False),
        (aten.dot.default, False),
        (aten._cdist_forward.default, False),
        (aten.linalg_inv_ex.default, False),
        (aten._fft_r2c.default, False),
        (aten.grid_sampler_3d.default, False),
    ],
)
def test_operators_that_multiply_nothing_are_known(operator, free):
    assert is_free(operator) == free
