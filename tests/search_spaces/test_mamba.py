import sys
from types import ModuleType

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from nas.cost.count import count_macs
from search_spaces.blocks import selective_scan as scan_module
from search_spaces.blocks.mamba import Mamba, SummaryMamba
from search_spaces.blocks.mixers import make_mixer
from search_spaces.blocks.pooling import Pooling
from search_spaces.blocks.selective_scan import SelectiveScan, selective_scan
from search_spaces.blocks.windows import Windowed

MIXERS = ("attention", "mamba", "summary_mamba", "pool")


def step_by_step(u, dt, a, b, c, d, start=None):
    """The recurrence as Gu and Dao (2023) write it: Eq. 2 with the discretisation of Sec. 3.2."""
    h, ys = u.new_zeros(u.shape[0], *a.shape), []
    for t in range(u.shape[1]):
        decay = torch.exp(dt[:, t, :, None] * a)
        if start is not None:
            h = torch.where(start[:, t, None, None], torch.zeros_like(h), h)
        h = decay * h + dt[:, t, :, None] * b[:, t, None, :] * u[:, t, :, None]
        ys.append((h * c[:, t, None, :]).sum(-1) + d * u[:, t])
    return torch.stack(ys, dim=1)


def scan_inputs(batch, length, channels=5, states=4, seed=0):
    torch.manual_seed(seed)
    shapes = [(batch, length, channels)] * 2 + [(channels, states)]
    shapes += [(batch, length, states)] * 2 + [(channels,)]
    u, dt, a, b, c, d = (torch.randn(shape) for shape in shapes)
    dt, a = torch.nn.functional.softplus(dt - 2), -states * torch.rand_like(a)
    return [t.requires_grad_() for t in (u, dt, a, b, c, d)]


def relative_error(found, expected):
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize("starts", [False, True])
@pytest.mark.parametrize(
    ("batch", "length"), [(3, 1), (2, 7), (40, 8), (2, 63), (1, 64), (2, 65), (2, 200), (1, 1000)]
)
def test_the_scan_is_the_recurrence(batch, length, starts):
    inputs = scan_inputs(batch, length, seed=length)
    start = torch.rand(batch, length) < 0.2 if starts else None
    found, expected = (scan(*inputs, start) for scan in (selective_scan, step_by_step))
    assert relative_error(found, expected) < 1e-5

    weights = torch.randn_like(expected)
    found_gradients = torch.autograd.grad((found * weights).sum(), inputs)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), inputs)
    for f, e in zip(found_gradients, expected_gradients, strict=True):
        assert relative_error(f, e) < 1e-5 if e.any() else not f.any()  # one token: a is not used


def test_the_scan_is_the_same_whatever_its_chunks(monkeypatch):
    inputs = scan_inputs(3, 100)
    expected = selective_scan(*inputs)
    monkeypatch.setattr(scan_module, "LONGEST_CHUNK", 7)
    monkeypatch.setattr(scan_module, "CPU_ELEMENTS", 300)
    torch.testing.assert_close(selective_scan(*inputs), expected)


@pytest.mark.parametrize("step", [0.0, 1e-6, 50.0, 1e4])
def test_no_step_overflows(step):
    inputs = scan_inputs(1, 300)
    with torch.no_grad():
        inputs[1].fill_(step)
    y = selective_scan(*inputs)
    gradients = torch.autograd.grad(y.sum(), inputs)
    assert all(t.isfinite().all() for t in (y, *gradients))


def test_what_the_scan_keeps_for_its_gradient_is_linear_in_the_tokens():
    def kept(length):
        sizes = []

        def pack(t):
            sizes.append(t.numel())
            return t

        with saved_tensors_hooks(pack, lambda t: t):
            selective_scan(*scan_inputs(1, length, channels=16, states=16))
        return sum(sizes)

    assert kept(4096) < 2.01 * kept(2048)
    assert kept(4096) < 4096 * 16 * 16 / 2  # the states alone would be twice as many


def test_the_scan_tells_its_work():
    """9 FLOPs a token, channel and state; a multiply-accumulate is two."""
    scan = SelectiveScan(6, 16)
    u = torch.empty(2, 10, 6)
    assert scan.own_macs(u, u, None, None) == {"selective_scan": 2 * 9 * 10 * 6 * 16 // 2}


@pytest.mark.parametrize("kind", ["mamba", "summary_mamba"])
def test_mamba_s_work_is_linear_in_the_tokens(kind):
    def macs(length):
        with torch.device("meta"):
            mixer = make_mixer(kind, 24)
        return count_macs(mixer, (1, length, 24)) - (2 * 24 * 24 if kind == "summary_mamba" else 0)

    assert macs(4000) == 40 * macs(100)


def test_mamba_s_work_is_that_of_its_layers():
    channels, inner, rank, states, kernel, tokens = 48, 96, 3, 16, 4, 64
    linear = channels * 2 * inner + inner * (rank + 2 * states) + rank * inner + inner * channels
    expected = tokens * (linear + kernel * inner + 9 * inner * states // 2)
    with torch.device("meta"):
        mamba = Mamba(channels)
    assert count_macs(mamba, (1, tokens, channels)) == expected


class FakeKernel:
    """`mamba_ssm`'s function: its order of axes, and a record of having been called."""

    calls = 0

    def __call__(self, u, delta, A, B, C, D):  # noqa: N803
        self.calls += 1
        u, delta, b, c = (t.transpose(1, 2) for t in (u, delta, B, C))
        return step_by_step(u, delta, A, b, c, D).transpose(1, 2)


def test_the_compiled_kernel_is_found_and_only_cuda_tensors_go_there(monkeypatch):
    module, kernel = ModuleType("selective_scan_interface"), FakeKernel()
    module.selective_scan_fn = kernel
    monkeypatch.setitem(sys.modules, "mamba_ssm.ops.selective_scan_interface", module)
    scan_module._compiled_kernel.cache_clear()
    inputs = scan_inputs(2, 20)
    try:
        assert scan_module._compiled_kernel() is kernel
        found = selective_scan(*inputs)
        assert kernel.calls == 0
        torch.testing.assert_close(scan_module._by_kernel(kernel, *inputs), found)
        assert kernel.calls == 1
    finally:
        scan_module._compiled_kernel.cache_clear()


def test_mamba_starts_as_published():
    """A = -1 ... -N, D = 1, steps between 0.001 and 0.1 (Gu and Dao 2023, Sec. 3.6)."""
    mamba = Mamba(20)
    a = -mamba.scan.log_decay.exp()
    torch.testing.assert_close(a, -torch.arange(1.0, 17).expand(40, 16))
    assert torch.equal(mamba.scan.skip, torch.ones(40))
    steps = torch.nn.functional.softplus(mamba.step.bias)
    assert steps.min() > 0.999e-3
    assert steps.max() < 0.1001
    assert mamba.step.in_features == 2  # ceil(20 / 16)


def changed_by(mixer, token, length=12, **arguments):
    """Which tokens' outputs change with one token's input."""
    torch.manual_seed(0)
    z = torch.randn(1, length, 8)
    other = z.clone()
    other[0, token] += 1
    with torch.no_grad():
        difference = mixer(z, **arguments) - mixer(other, **arguments)
    return [i for i in range(length) if difference[0, i].abs().max() > 1e-7]


def test_mamba_is_causal():
    assert changed_by(Mamba(8), 5) == [5, 6, 7, 8, 9, 10, 11]


def test_a_second_direction_reaches_the_tokens_before():
    assert changed_by(Mamba(8, directions=2), 5) == list(range(12))


def test_the_second_direction_is_the_first_from_the_other_side():
    """With the weights of the first in both, and with those alone added up."""
    torch.manual_seed(0)
    both, one, z = Mamba(8, directions=2).double(), Mamba(8).double(), torch.randn(2, 9, 8).double()
    one.load_state_dict(both.state_dict(), strict=False)
    for name, tensor in both.reverse.state_dict().items():
        tensor.copy_(one.state_dict()[name])
    torch.testing.assert_close(both(z), one(z) + one(z.flip(1)).flip(1))


def test_one_direction_has_the_weights_that_it_had():
    """Those of a checkpoint from before there was a choice, in their order."""
    names = ["enter.weight", "conv.weight", "conv.bias", "select.weight", "step.weight"]
    names += ["step.bias", "scan.log_decay", "scan.skip", "leave.weight"]
    assert list(Mamba(8).state_dict()) == names


def test_the_summary_reaches_every_token():
    assert changed_by(SummaryMamba(8), 5) == list(range(12))


@pytest.mark.parametrize("kind", ["mamba", "summary_mamba", "attention"])
def test_windows_are_mixed_apart(kind):
    mixer = make_mixer(kind, 8, heads=2, window=4)
    assert isinstance(mixer, Windowed)
    assert set(changed_by(mixer, 5, size=(12,))) <= {4, 5, 6, 7}
    assert changed_by(mixer, 4, size=(12,)) == [4, 5, 6, 7]


@pytest.mark.parametrize("mixer_type", [Mamba, SummaryMamba])
@pytest.mark.parametrize("directions", [1, 2])
def test_a_group_of_the_mask_is_a_sequence_of_its_own(mixer_type, directions):
    torch.manual_seed(0)
    mixer = mixer_type(8, directions=directions).double()
    z = torch.randn(2, 14, 8, dtype=torch.double)
    groups = torch.tensor([[0, 1, 0, 0, 2, 1, 1, 0, 0, 0, 2, 1, 0, 0], [3] * 5 + [1] * 9])
    mixed = mixer(z, mask=groups[:, :, None] == groups[:, None, :])
    for sample in range(2):
        for group in groups[sample].unique():
            members = groups[sample] == group
            alone = mixer(z[sample, members][None])[0]
            torch.testing.assert_close(mixed[sample, members], alone)


@pytest.mark.parametrize("kind", ["mamba", "summary_mamba"])
@pytest.mark.parametrize(
    ("shift", "cut"),
    [
        (False, (slice(4, 5), slice(4, 6), slice(4))),  # the last window, cut by the border
        (True, (slice(2), slice(2), slice(4))),  # the first window, cut by the shift of two
    ],
)
def test_a_cut_window_is_scanned_as_if_it_were_smaller(kind, shift, cut):
    torch.manual_seed(0)
    mixer, size = make_mixer(kind, 8), (5, 6, 4)
    z = torch.randn(2, 120, 8)
    grid, mixed = (t.unflatten(1, size) for t in (z, Windowed(mixer, 4, shift)(z, size)))
    inside = (slice(None), *cut)
    alone = mixer(grid[inside].flatten(1, 3))
    torch.testing.assert_close(mixed[inside].flatten(1, 3), alone)


def test_pooling_is_the_neighbourhood_s_mean_less_the_token():
    z = torch.arange(5.0).pow(2)[None, :, None].repeat(1, 2, 3)  # two rows of 0 1 4 9 16
    found = Pooling()(z, (2, 5))
    expected = torch.tensor([1 / 2 - 0, 5 / 3 - 1, 14 / 3 - 4, 29 / 3 - 9, 25 / 2 - 16]).repeat(2)
    torch.testing.assert_close(found, expected[None, :, None].expand(1, 10, 3))
    assert sum(p.numel() for p in Pooling().parameters()) == 0


def test_pooling_in_three_axes_looks_at_27_tokens():
    z = torch.zeros(1, 125, 2)
    z[0, 62] = 27.0
    pooled = Pooling()(z, (5, 5, 5)).unflatten(1, (5, 5, 5))[0, ..., 0]
    assert pooled[1:4, 1:4, 1:4].sum() == 26 * 1 + (1 - 27)
    assert pooled.count_nonzero() == 27


def test_pooling_takes_axes_shorter_than_its_neighbourhood():
    z = torch.randn(1, 4, 3)
    found = Pooling()(z, (1, 2, 2))
    torch.testing.assert_close(found, z.mean(1, keepdim=True) - z)


def test_pooling_refuses_what_is_no_grid():
    with pytest.raises(ValueError, match="grid"):
        Pooling()(torch.zeros(1, 8, 2))


def test_an_unknown_mixer_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'lstm'.*mamba"):
        make_mixer("lstm", 8)


@pytest.mark.parametrize("window", [0, 2, 4])
@pytest.mark.parametrize("kind", MIXERS)
def test_every_mixer_trains_all_its_parameters(kind, window):
    mixer, size = make_mixer(kind, 8, heads=2, window=window), (3, 4, 6)
    z = torch.randn(2, 72, 8, requires_grad=True)
    mixed = mixer(z, size)
    assert mixed.shape == z.shape
    mixed.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in mixer.parameters())
    assert all(p.grad.any() for p in mixer.parameters() if p.numel() > 8)


def test_mamba_runs_under_autocast():
    mamba, z = Mamba(8), torch.randn(2, 20, 8)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = mamba(z)
    mixed.float().sum().backward()
    torch.testing.assert_close(mixed.float(), mamba(z), atol=0.05, rtol=0.1)
