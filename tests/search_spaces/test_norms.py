"""Norms of large planes another way: the same values and gradients, used only where seen better."""

import logging
from functools import partial

import pytest
import torch
from torch import nn

from search_spaces.blocks import first_use
from search_spaces.blocks.first_use import is_better
from search_spaces.blocks.norms import by_spreading, by_torch, spread_norms
from search_spaces.blocks.recompute import recomputed
from search_spaces.blocks.spread_norm import spread_norm
from search_spaces.registry import all_presets

LAYOUTS = {
    "contiguous": torch.contiguous_format,
    "channels last": torch.channels_last_3d,
}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 2e-2}


def outcome(norm, x, weight, bias, gradient):
    """Its value and its gradients."""
    leaves = [t.detach().clone().requires_grad_() for t in (x, weight, bias) if t is not None]
    made = norm(*leaves, *[None] * (3 - len(leaves)))
    return [made, *torch.autograd.grad(made, leaves, gradient)]


def volume(shape=(2, 16, 5, 6, 7), dtype=torch.float64, layout="contiguous", seed=0):
    """Numbers away from zero, so that means matter."""
    x = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 2
    return x.to(dtype).contiguous(memory_format=LAYOUTS[layout])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("groups", [None, 16, 4, 1])
@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_values_and_gradients_are_torchs(layout, groups, learned, dtype):
    x, gradient = volume(dtype=dtype, layout=layout), volume(dtype=dtype, layout=layout, seed=1)
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    if groups is not None and dtype == torch.bfloat16:
        kind = dtype  # group norm's parameters are of the type of its input, or of float32
    learnt = [volume((16,) + (1,) * 4, kind, seed=s).flatten() for s in (2, 3)]
    weights = learnt if learned else [None, None]
    ways = (partial(way, groups=groups, eps=1e-5) for way in (by_spreading, by_torch))
    found, expected = (outcome(way, x, *weights, gradient) for way in ways)
    assert found[0].is_contiguous(memory_format=LAYOUTS[layout])
    for mine, torchs in zip(found, expected, strict=True):
        assert mine.dtype == torchs.dtype
        distance = (mine.double() - torchs.double()).abs().max() / torchs.double().abs().max()
        assert distance <= TOLERANCE[dtype]


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_by_finite_differences(groups, layout):
    x = volume((2, 4, 3, 2, 3), layout=layout).requires_grad_()
    weight, bias = (volume((4, 1, 1, 1, 1), seed=s).flatten().requires_grad_() for s in (1, 2))
    assert torch.autograd.gradcheck(
        lambda *t: spread_norm(t[0], groups, *t[1:], 1e-5), (x, weight, bias)
    )


def test_constant_planes_have_the_gradient_of_torch():
    """Their deviation is that of eps alone."""
    x, gradient = torch.full((1, 4, 4, 4, 4), 3.0), volume((1, 4, 4, 4, 4), torch.float32)
    for layout in LAYOUTS.values():
        ways = (partial(way, groups=None, eps=1e-5) for way in (by_spreading, by_torch))
        last = x.contiguous(memory_format=layout)
        found, expected = (outcome(way, last, None, None, gradient) for way in ways)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_images_and_one_case_alone():
    for shape in ((1, 6, 8, 9), (3, 6, 8, 9)):
        x = volume(shape, torch.float32, "contiguous").contiguous(memory_format=torch.channels_last)
        made = spread_norm(x, 6, None, None, 1e-5)
        torch.testing.assert_close(made, nn.functional.instance_norm(x), rtol=1e-5, atol=1e-5)
        assert made.is_contiguous(memory_format=torch.channels_last)


# On a CPU the modules are torch's


def test_turned_norms_compute_and_store_what_they_did():
    norms = nn.Sequential(
        nn.InstanceNorm3d(4, affine=True), nn.GroupNorm(2, 4), nn.BatchNorm3d(4)
    ).eval()
    running = nn.InstanceNorm3d(4, track_running_stats=True)
    x, state = volume((1, 4, 33, 33, 33), torch.float32), dict(norms.state_dict())
    before = norms(x)
    assert spread_norms(norms) is norms
    assert torch.equal(norms(x), before)
    assert norms.state_dict().keys() == state.keys()
    assert isinstance(norms[0], nn.InstanceNorm3d) and type(norms[0]) is not nn.InstanceNorm3d
    assert type(norms[2]) is nn.BatchNorm3d
    assert type(spread_norms(running)) is nn.InstanceNorm3d
    with pytest.raises(ValueError, match="expected 4D or 5D"):
        norms[0](torch.zeros(4, 4))


# The check at first use


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(first_use, "_answers", {})


def slow(x, *_):
    for _ in range(200):
        x = x * 1.0
    return x


def test_what_is_right_and_faster_is_used_and_asked_once(caplog):
    x = volume((1, 2, 8, 8, 8), torch.float32)
    calls = []

    def fast(x, *_):
        calls.append(1)
        return x * 1.0

    with caplog.at_level(logging.INFO):
        assert is_better("double", fast, slow, x, ())
        asked = len(calls)
        assert is_better("double", fast, slow, x, ())
    assert len(calls) == asked
    (line,) = caplog.messages
    assert line.startswith("double, (1, 2, 8, 8, 8) torch.float32 on cpu: used, since it takes ")


def test_what_is_slower_is_not_used():
    assert not is_better("double", slow, lambda x: x * 1.0, volume((1, 2, 8, 8, 8)), ())


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (lambda x, w: x * w * 1.001, "it is "),
        (lambda x, w: (x * w).to(torch.float32), "it is inf"),
        (lambda x, w: x * w.detach(), "it fails: The differentiated Tensor"),
        (lambda x, w: x * w + torch.zeros(3), "it fails: The size of tensor"),
    ],
    ids=["value", "type", "gradient", "error"],
)
def test_what_is_wrong_is_not_used(other, reason, caplog):
    x, w = volume((1, 2, 8, 8, 8)), torch.ones((), dtype=torch.float64, requires_grad=True)
    with caplog.at_level(logging.INFO):
        assert not is_better("double", other, lambda x, w: slow(x * w), x, (w,))
    assert f"not used, since {reason}" in caplog.text


def test_the_check_leaves_no_trace():
    """No random number is drawn, no gradient is left, and a checkpoint around it sees nothing."""
    x, w = (
        volume((1, 2, 4, 4, 4)).requires_grad_(),
        torch.ones(2, 1, 1, 1).double().requires_grad_(),
    )
    state = torch.get_rng_state()

    def forward(x):
        y = x * w
        is_better("double", lambda x, w: x * w, lambda x, w: w * x, x, (w,))
        return y

    recomputed(forward, x, when=True).sum().backward()
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(x.grad, torch.ones_like(x))
    torch.testing.assert_close(w.grad.flatten(), x.detach().sum((0, 2, 3, 4)))


def test_every_preset_has_norms_that_may_go_another_way():
    plain = (nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)
    for name, preset in all_presets().items():
        with torch.device("meta"):
            network = preset.build(1, 2)
        assert not [m for m in network.modules() if type(m) in plain], name
