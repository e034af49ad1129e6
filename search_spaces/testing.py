"""The contract of every search space, for a space of your own to prove itself.

With pytest, subclass `SpaceContract`; anywhere else call `check_space`, or `check_architecture` for
a single point. What fails raises `ContractError`, with the architecture in a note.
"""

from __future__ import annotations

import json
import math
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import nn

from search_spaces.axes import axes_for, by_axis
from search_spaces.space import (
    Architecture,
    AxialArchitecture,
    RandomTrial,
    Restrictions,
    SearchSpace,
    axes_of,
    sample,
    spatial_dims,
    to_params,
)

SMALL, ODD = (2, 1, 1), (1, 3, 2)  # strides along the axes; a single voxel has no norm
SPELLINGS = 100


class ContractError(AssertionError):
    """A network or a space breaks its contract; the message says in what."""


class SpaceContract:
    """Tests of `space` for pytest to collect: one for the space, every preset and random point.

    Subclass it in a test file, under a name that pytest collects. `restrict` narrows the random
    points to networks that run in a moment; the presets and the records are checked in full.
    """

    space: ClassVar[SearchSpace]
    restrict: ClassVar[Restrictions] = {}
    random_points: ClassVar[int] = 10

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for every preset and every seed; axes can differ where the space heeds them."""
        seeds = range(self.random_points)
        axial = issubclass(self.space.kind, AxialArchitecture)
        presets = list(self.space.presets())
        cases = {"preset": presets, "seed": seeds, "axial_seed": seeds if axial else ()}
        for name in cases.keys() & set(metafunc.fixturenames):
            metafunc.parametrize(name, cases[name])

    def test_records(self) -> None:
        check_records(self.space)

    def test_preset(self, preset: str) -> None:
        check_architecture(self.space.presets()[preset])

    def test_random_point(self, seed: int) -> None:
        check_architecture(random_point(self.space, seed, self.restrict))

    def test_anisotropic_point(self, axial_seed: int) -> None:
        check_architecture(anisotropic_point(self.space, axial_seed, self.restrict))


def check_space(
    space: SearchSpace, random_points: int = 10, restrict: Restrictions | None = None
) -> None:
    """Check the records of a space, its presets, and random points of what `restrict` leaves.

    Raises ContractError, or what a network raised.
    """
    check_records(space)
    for preset in space.presets().values():
        check_architecture(preset)
    for seed in range(random_points):
        check_architecture(random_point(space, seed, restrict))
        if issubclass(space.kind, AxialArchitecture):
            check_architecture(anisotropic_point(space, seed, restrict))


def random_point(
    space: SearchSpace, seed: int, restrict: Restrictions | None = None
) -> Architecture:
    """A random point, not in canonical form."""
    return sample(space.kind, RandomTrial(seed), restrict)


def anisotropic_point(
    space: SearchSpace, seed: int, restrict: Restrictions | None = None
) -> Architecture:
    """Another, for a volume of random spacings and a random patch, where the space heeds them."""
    rng = random.Random(seed)
    spacing = [rng.choice((1.0, 1.0, 2.5, 5.0, 9.0)) for _ in range(3)]
    patch = [rng.choice((4, 8, 12, 16, 64)) for _ in range(3)]
    point = random_point(space, seed + 1000, restrict).with_axes(axes_for(spacing, patch))
    return point if not point.has_idle_level() else point.with_axes(axes_for(spacing, (64, 64, 64)))


def check_records(space: SearchSpace) -> None:
    """The space's name, its presets, and the records of `SPELLINGS` random points."""
    _require(space.kind.space == space.name, f"{space.kind.space!r} is not {space.name!r}")
    for name, preset in space.presets().items():
        _require(type(preset) is space.kind, f"preset {name} is a {type(preset).__name__}")
    for seed in range(SPELLINGS):
        point = random_point(space, seed)
        for each in (point, anisotropic_point(space, seed)):
            with _naming(each):
                _check_record(each)


def check_architecture(
    architecture: Architecture, in_channels: int = 2, out_channels: int = 3
) -> None:
    """Build one point and check its record and its network, on the smallest inputs there are.

    Raises ContractError, or what the network raised. Takes about fifteen passes through it.
    """
    with _naming(architecture), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _check_record(architecture)
        _check_meta(architecture, in_channels, out_channels)
        network = architecture.build(in_channels, out_channels)
        small, odd = (_size(architecture, multiples) for multiples in (SMALL, ODD))
        x = torch.randn(2, in_channels, *small)
        _check_training(network, x, out_channels)
        with _no_onednn():
            _check_training(network, x[:1], out_channels, torch.bfloat16)
        network.zero_grad(set_to_none=True)
        network.eval()
        with torch.no_grad():
            _check_inference(network, x, out_channels)
            _check_inference(network, torch.randn(1, in_channels, *odd), out_channels)
            _check_refusal(network, architecture, in_channels)
            if spatial_dims(architecture) == 2:
                _check_slices(network, torch.randn(2, in_channels, 3, *small))
            _check_measured(network, x)
            _check_state(network, architecture, x)
            _check_spelling(architecture, x, out_channels)
            with _no_onednn():
                check_half_precision(network, x[:1], out_channels)


def check_half_precision(network: nn.Module, x: torch.Tensor, out_channels: int) -> None:
    """A pass of a network in eval mode with all that is in it, and x (B, C_in, *S), in bfloat16.

    The network keeps that precision. Raises ContractError, or what the network raised.
    """
    logits = network.to(torch.bfloat16)(x.to(torch.bfloat16))
    _check_shape(logits, x, out_channels)
    _check_finite("logits in bfloat16", logits)


def _check_record(point: Architecture) -> None:
    """JSON, canonical form and sampling."""
    kind, once = type(point), point.canonical()
    loaded = kind.from_json(json.loads(json.dumps(point.to_json())))
    _require(loaded == point, "its JSON gives another architecture back")
    _require(once.canonical() == once, "canonical() changes the canonical form")
    _require(once.key == point.key, "canonical() changes the key")
    _require(once.strides() == point.strides(), "canonical() changes the strides")
    for spelling in (point, once):
        again = sample(kind, RandomTrial(answers=to_params(spelling)))
        again = again.with_axes(axes_of(spelling))
        _require(again == spelling, "sampling its own answers gives another architecture")


def _check_meta(architecture: Architecture, in_channels: int, out_channels: int) -> None:
    """On the meta device networks are counted: it must build there, run, and be the same one."""
    with torch.device("meta"):
        network = architecture.build(in_channels, out_channels).eval()
    real = architecture.build(in_channels, out_channels)
    _require(_shapes(network) == _shapes(real), "the meta device builds another state dict")
    x = torch.empty(1, in_channels, *_size(architecture, SMALL), device="meta")
    with torch.no_grad():
        _check_shape(network(x), x, out_channels)


def _check_training(
    network: nn.Module,
    x: torch.Tensor,
    out_channels: int,
    precision: torch.dtype = torch.float32,
) -> None:
    """A step as the trainer makes it: forward, auxiliary losses, backward."""
    network.train().zero_grad(set_to_none=True)
    if x.ndim == 5:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    given = x.clone()
    with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
        logits = network(x)
    _require(torch.equal(x, given), "it changes its input")
    _check_shape(logits, x, out_channels)
    _check_finite("logits", logits)
    target = torch.randint(out_channels, (x.shape[0], 1, *x.shape[2:]))
    loss = logits.float().square().mean()
    for term in _auxiliary_losses(network, target).values():
        loss = loss + term
    loss.backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            _require(parameter.grad is not None, f"{name} gets no gradient")
            _check_finite(f"the gradient of {name}", parameter.grad)


def _auxiliary_losses(network: nn.Module, target: torch.Tensor) -> Mapping[str, torch.Tensor]:
    losses = network.auxiliary_losses(target) if hasattr(network, "auxiliary_losses") else {}  # type: ignore[operator]
    for name, term in losses.items():
        _require(term.ndim == 0, f"auxiliary loss {name} has shape {tuple(term.shape)}")
        _require(term.requires_grad, f"auxiliary loss {name} takes no part in the backward pass")
        _check_finite(f"auxiliary loss {name}", term)
    return losses


def _check_inference(network: nn.Module, x: torch.Tensor, out_channels: int) -> None:
    """Deterministic in eval mode, and no case of a batch sees another."""
    first = network(x)
    _check_shape(first, x, out_channels)
    _check_finite("logits", first)
    _require(torch.equal(first, network(x)), "two passes in eval mode differ")
    if len(x) > 1:
        alone = torch.cat([network(case) for case in x.split(1)])
        _require(_close(alone, first), "a case alone gives other logits than in a batch")


def _check_refusal(network: nn.Module, architecture: Architecture, in_channels: int) -> None:
    strides, sizes = architecture.strides(), _size(architecture, SMALL)
    told = by_axis(strides)
    for axis, stride in enumerate(strides):
        if stride == 1:
            continue
        size = [length + (stride // 2 if i == axis else 0) for i, length in enumerate(sizes)]
        try:
            network(torch.zeros(1, in_channels, *size))
        except ValueError as error:
            named = str(error).endswith(f"multiple of the network's stride, {told}")
            _require(named, f"{size} is refused without naming stride {told}: {error}")
        else:
            raise ContractError(f"{size} is no multiple of stride {told}, and is not refused")


def _check_slices(network: nn.Module, volume: torch.Tensor) -> None:
    """A network of images segments a volume (B, C, D, H, W) slice by slice."""
    slices = torch.stack([network(image) for image in volume.unbind(2)], dim=2)
    _require(_close(network(volume), slices), "a volume is not segmented slice by slice")


def _check_measured(network: nn.Module, x: torch.Tensor) -> None:
    """`measured()` tells of the passes since its last call."""
    if not hasattr(network, "measured"):
        return
    told = []
    for _ in range(3):
        network(x)
        told.append(network.measured())  # type: ignore[operator]
    _require(all(math.isfinite(v) for v in told[-1].values()), f"measured() gives {told[-1]}")
    _require(told[1] == told[2], f"one pass measured twice: {told[1]}, then {told[2]}")


def _check_state(network: nn.Module, architecture: Architecture, x: torch.Tensor) -> None:
    """What the state dict holds is all there is to a trained network."""
    channels = (x.shape[1], network(x).shape[1])
    loaded = architecture.build(*channels).eval()
    loaded.load_state_dict(network.state_dict())
    _require(torch.equal(loaded(x), network(x)), "its state dict gives other logits back")


def _check_spelling(architecture: Architecture, x: torch.Tensor, out_channels: int) -> None:
    """The canonical form is the same network, weight for weight."""
    if architecture.canonical() == architecture:
        return
    logits = []
    for spelling in (architecture, architecture.canonical()):
        torch.manual_seed(0)
        network = spelling.build(x.shape[1], out_channels).eval()
        logits.append(network(x))
    _require(torch.equal(*logits), "canonical() gives another network")


@contextmanager
def _no_onednn() -> Iterator[None]:
    """In bfloat16 its convolutions to a few voxels, and their gradients, read memory that nothing
    wrote."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32 acceleration on top of oneDNN")
        with torch.backends.mkldnn.flags(enabled=False):
            yield


@contextmanager
def _naming(architecture: Architecture) -> Iterator[None]:
    """Whatever goes wrong, say for which architecture."""
    try:
        yield
    except Exception as error:
        record = json.dumps(architecture.to_json())
        error.add_note(f"{architecture.space} {architecture.key}: {record}")
        raise


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ContractError(message)


def _check_shape(logits: torch.Tensor, x: torch.Tensor, out_channels: int) -> None:
    found, expected = tuple(logits.shape), (x.shape[0], out_channels, *x.shape[2:])
    _require(found == expected, f"logits {found} for input {tuple(x.shape)}; expected {expected}")


def _check_finite(name: str, values: torch.Tensor | None) -> None:
    _require(values is not None and bool(values.isfinite().all()), f"{name}: NaN or infinite")


def _close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal but for rounding, which norms of a few voxels and a token more or less can enlarge."""
    return a.shape == b.shape and bool((a - b).abs().mean() <= 1e-5 + 0.01 * b.std())


def _size(architecture: Architecture, multiples: Sequence[int]) -> tuple[int, ...]:
    """That many strides along the axes that the architecture has."""
    return tuple(stride * m for stride, m in zip(architecture.strides(), multiples, strict=False))


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}
