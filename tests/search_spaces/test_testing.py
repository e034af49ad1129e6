"""The contract suite must be able to fail: one broken space for everything that it promises."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from search_spaces.space import Architecture, SearchSpace, choice
from search_spaces.testing import (
    ContractError,
    SpaceContract,
    check_architecture,
    check_records,
    check_space,
    random_point,
)

STRIDE = 4


class Net(nn.Module):
    """Keeps the contract: down by the stride, a norm, up again."""

    conv = (nn.Conv3d, nn.ConvTranspose3d)

    def __init__(self, in_channels, out_channels, width=4):
        super().__init__()
        down, up = self.conv
        self.out_channels = out_channels
        self.down = down(in_channels, width, STRIDE, stride=STRIDE)
        self.norm = nn.GroupNorm(2, width)
        self.up = up(width, out_channels, STRIDE, stride=STRIDE)

    def forward(self, x):
        if any(length % STRIDE for length in x.shape[2:]):
            raise ValueError(f"{x.shape}; not a multiple of the network's stride, {STRIDE}")
        return self.up(self.features(x))

    def features(self, x):
        return torch.nn.functional.silu(self.norm(self.down(x)))


class FlatNet(Net):
    """2D; folds a volume into the batch."""

    conv = (nn.Conv2d, nn.ConvTranspose2d)

    def forward(self, x):
        if x.ndim == 4:
            return super().forward(x)
        slices = super().forward(x.movedim(2, 1).flatten(0, 1))
        return slices.unflatten(0, (len(x), -1)).movedim(1, 2)


@dataclass(frozen=True, kw_only=True)
class Toy(Architecture):
    space: ClassVar[str] = "toy"
    net: ClassVar[type[nn.Module]] = Net

    width: int = choice(4, 8, doc="channels")
    idle: int = choice(0, 1, doc="does nothing")

    def canonical(self):
        return replace(self, idle=0)

    def stride(self):
        return STRIDE

    def build(self, in_channels, out_channels):
        return self.net(in_channels, out_channels, self.width)


def space_of(kind):
    return SearchSpace(name="toy", kind=kind, presets=lambda: {"toy-s": kind()})


def toy(network, dims=3):
    """A space of one kind of network."""
    return type("Toy", (Toy,), {"net": network, "spatial_dims": dims})


class TestToy(SpaceContract):
    """As a user would have it."""

    space = space_of(Toy)
    random_points = 3


class TestFlatToy(SpaceContract):
    space = space_of(toy(FlatNet, dims=2))
    random_points = 1


def test_the_suite_passes_without_pytest():
    check_space(space_of(Toy), random_points=3, restrict={"width": [8]})


def test_restrict_narrows_the_random_points():
    points = [random_point(space_of(Toy), seed, {"width": [8]}) for seed in range(20)]
    assert {point.width for point in points} == {8}
    assert {point.idle for point in points} == {0, 1}  # as spelt


# Broken networks


class Nan(Net):
    def features(self, x):
        return super().features(x) * torch.zeros(()).log()


class UnusedParameter(Net):
    def __init__(self, *channels):
        super().__init__(*channels)
        self.unused = nn.Linear(1, 1)


class NanGradient(Net):
    def features(self, x):
        features = super().features(x)
        return features + (features - features).abs().sqrt()  # 0, with gradient 0 * inf


class HalfSize(Net):
    def features(self, x):
        return super().features(x)[:, :, :1]


class OneClassTooMany(Net):
    def __init__(self, in_channels, out_channels, width):
        super().__init__(in_channels, out_channels + 1, width)


class AlwaysDropping(Net):
    def features(self, x):
        return nn.functional.dropout(super().features(x), training=True)


class FixedSize(Net):
    def __init__(self, *channels):
        super().__init__(*channels)
        self.position = nn.Parameter(torch.zeros(2, 1, 1))

    def features(self, x):
        features = super().features(x)
        assert features.shape[2:] == self.position.shape, "image of another size"
        return features + self.position


class BatchOfTwo(Net):
    def features(self, x):
        return super().features(x) + torch.zeros(2, 1, 1, 1, 1)


class SeesTheBatch(Net):
    def features(self, x):
        features = super().features(x)
        return features + features.mean(0, keepdim=True)


class ChangesItsInput(Net):
    def forward(self, x):
        return super().forward(x.mul_(2))


class AnySize(Net):
    def forward(self, x):
        up = self.up(self.features(x))
        return nn.functional.interpolate(up, x.shape[2:])


class SilentRefusal(Net):
    def forward(self, x):
        if any(length % STRIDE for length in x.shape[2:]):
            raise ValueError("wrong size")
        return super().forward(x)


class OwnState(Net):
    def __init__(self, *channels):
        super().__init__(*channels)
        self.scale = torch.rand(())

    def features(self, x):
        return super().features(x) * self.scale


class ReadsItsInput(Net):
    def features(self, x):
        return super().features(x) * (1 if x.mean().item() > 0 else 2)


class KnowsTheDevice(Net):
    def __init__(self, in_channels, out_channels, width):
        super().__init__(in_channels, out_channels, width)
        if self.down.weight.is_meta:
            self.extra = nn.Linear(1, 1)


class NeedsContiguous(Net):
    def features(self, x):
        x.view(x.shape[0], -1)
        return super().features(x)


class FullPrecisionOnly(Net):
    def features(self, x):
        features = self.down(x)
        order = torch.arange(len(x)).flip(0)
        return torch.zeros(features.shape).index_copy(0, order, features)


class Auxiliary(Net):
    def auxiliary_losses(self, target):
        return {"term": self.loss(target)}


class DetachedAuxiliary(Auxiliary):
    def loss(self, target):
        return self.up.weight.square().mean().detach()


class VectorAuxiliary(Auxiliary):
    def loss(self, target):
        return self.up.weight.square().mean(0).flatten()


class NanAuxiliary(Auxiliary):
    def loss(self, target):
        return (self.up.weight.square().mean() * 0).log() * 0


class NeverAfresh(Net):
    passes = 0

    def features(self, x):
        self.passes += 1
        return super().features(x)

    def measured(self):
        return {"passes": float(self.passes)}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Nan, "logits: NaN"),
        (UnusedParameter, "unused.weight gets no gradient"),
        (NanGradient, "the gradient of down.weight: NaN"),
        (HalfSize, r"logits \(1, 3, 4, 4, 4\) for input \(1, 2, 8, 4, 4\)"),
        (OneClassTooMany, r"logits \(1, 4, 8, 4, 4\)"),
        (AlwaysDropping, "two passes in eval mode differ"),
        (FixedSize, "image of another size"),
        (SeesTheBatch, "other logits than in a batch"),
        (ChangesItsInput, "changes its input"),
        (AnySize, "no multiple of stride 4, and is not refused"),
        (SilentRefusal, "without naming stride 4: wrong size"),
        (OwnState, "its state dict gives other logits back"),
        (KnowsTheDevice, "the meta device builds another state dict"),
        (DetachedAuxiliary, "term takes no part in the backward pass"),
        (VectorAuxiliary, r"auxiliary loss term has shape"),
        (NanAuxiliary, "auxiliary loss term: NaN"),
        (NeverAfresh, "one pass measured twice"),
    ],
)
def test_a_broken_network_is_caught(network, message):
    with pytest.raises(AssertionError, match=message):
        check_architecture(toy(network)())


class MixesTypes(Net):
    """Right under autocast, which turns what is multiplied to one type."""

    def features(self, x):
        features = super().features(x)
        wide = torch.eye(features.shape[1])
        return (wide @ features.flatten(2)).reshape_as(features)


NO_RUN = [BatchOfTwo, ReadsItsInput, NeedsContiguous, FullPrecisionOnly, MixesTypes]


@pytest.mark.parametrize("network", NO_RUN)
def test_a_network_that_raises_is_caught(network):
    with pytest.raises((RuntimeError, ContractError)):
        check_architecture(toy(network)())


def test_the_toys_break_for_nothing_else():
    check_architecture(toy(Net)())


class FirstSliceOnly(FlatNet):
    def forward(self, x):
        if x.ndim == 4:
            return super().forward(x)
        first = super().forward(x[:, :, 0])
        return first[:, :, None].expand(-1, -1, x.shape[2], -1, -1)


def test_a_2d_network_that_confuses_slices_is_caught():
    with pytest.raises(ContractError, match="slice by slice"):
        check_architecture(toy(FirstSliceOnly, dims=2)())


def test_a_failure_names_its_architecture():
    point = toy(Nan)(width=8)
    with pytest.raises(ContractError) as error:
        check_architecture(point)
    (note,) = error.value.__notes__
    assert note == f'toy {point.key}: {{"width": 8, "idle": 0}}'


def test_the_random_state_is_left_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    check_architecture(Toy())
    assert torch.equal(torch.rand(1), expected)


# Broken records


@dataclass(frozen=True, kw_only=True)
class WidthIsIdle(Toy):
    def canonical(self):
        return replace(self, width=4)


@dataclass(frozen=True, kw_only=True)
class NeverSettles(Toy):
    def canonical(self):
        return replace(self, idle=1 - self.idle)


@dataclass(frozen=True, kw_only=True)
class KeyBySpelling(Toy):
    @property
    def key(self):
        return f"{self.width}-{self.idle}"


@dataclass(frozen=True, kw_only=True)
class ForgetsItsWidth(Toy):
    def to_json(self):
        return {"width": 4, "idle": self.idle}


@dataclass(frozen=True, kw_only=True)
class StrideBySpelling(Toy):
    def stride(self):
        return STRIDE * (1 + self.idle)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (NeverSettles, "canonical.* changes the canonical form"),
        (KeyBySpelling, "canonical.* changes the key"),
        (ForgetsItsWidth, "its JSON gives another architecture back"),
        (StrideBySpelling, "canonical.* changes the stride"),
    ],
)
def test_a_broken_record_is_caught(kind, message):
    with pytest.raises(ContractError, match=message):
        check_records(space_of(kind))


def test_a_canonical_form_of_another_network_is_caught():
    with pytest.raises(ContractError, match="gives another network"):
        check_architecture(WidthIsIdle(width=8))


def test_a_space_under_another_name_is_caught():
    with pytest.raises(ContractError, match="'toy' is not 'other'"):
        check_records(SearchSpace(name="other", kind=Toy, presets=dict))


def test_a_preset_of_another_space_is_caught():
    presets = {"stranger": KeyBySpelling()}
    with pytest.raises(ContractError, match="preset stranger is a KeyBySpelling"):
        check_records(SearchSpace(name="toy", kind=Toy, presets=lambda: presets))
