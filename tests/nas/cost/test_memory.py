from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import ClassVar

import pytest
import torch
from torch import nn

from benchmarks.measured_memory import measured_peak
from nas.config.resources import Resources
from nas.cost import memory
from nas.cost.memory import Memory, memory_of
from nas.pareto.budget import Budget
from nas.study.training_cost import TrainingCosts
from search_spaces.blocks.recompute import recomputed
from search_spaces.registry import all_presets, find_preset
from search_spaces.space import Architecture
from tests.slow import and_slow
from trainers.config import DistillationConfig, LossConfig, TrainConfig
from trainers.deep_supervision import DeepSupervision
from trainers.distillation import Distillation
from trainers.losses import segmentation_loss
from trainers.precision import autocast

VOXELS = 8**3
PATCH = (8, 8, 8)


@dataclass(frozen=True, kw_only=True)
class Network(Architecture):
    """Whatever `made` is, as an architecture."""

    space: ClassVar[str] = "test"
    made: ClassVar[type[nn.Module]]

    def build(self, in_channels, out_channels):
        return self.made()


class TwoLayers(nn.Module):
    """1x1x1 convolutions without bias, 1 -> 4 -> 2 channels, with a sigmoid between."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(1, 4, 1, bias=False), nn.Sigmoid(), nn.Conv3d(4, 2, 1, bias=False)
        )

    def forward(self, x):
        return self.body(x)


@dataclass(frozen=True, kw_only=True)
class TwoLayered(Network):
    made: ClassVar = TwoLayers


class Wide(nn.Module):
    """A network that is nearly all weights: 1 + 2 * 512^2 parameters and no map to speak of."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(512, 512, bias=False)
        self.second = nn.Linear(512, 512, bias=False)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        weight = (self.first.weight.sum() + self.second.weight.sum()) * self.scale
        return torch.cat([x, x * weight], 1)


@dataclass(frozen=True, kw_only=True)
class Weighty(Network):
    made: ClassVar = Wide


class Blocks(nn.Module):
    """Nine convolutions with sigmoids, and one."""

    again = False

    def __init__(self):
        super().__init__()
        layers = [nn.Conv3d(1, 8, 3, padding=1)] + [nn.Conv3d(8, 8, 3, padding=1) for _ in range(8)]
        self.body = nn.Sequential(*(nn.Sequential(conv, nn.Sigmoid()) for conv in layers))
        self.last = nn.Conv3d(8, 2, 1)

    def forward(self, x):
        return self.last(recomputed(self.body, x, when=self.again))


class BlocksAgain(Blocks):
    again = True


@dataclass(frozen=True, kw_only=True)
class Plain(Network):
    made: ClassVar = Blocks


@dataclass(frozen=True, kw_only=True)
class Again(Network):
    made: ClassVar = BlocksAgain


def test_what_two_layers_need_can_be_counted_by_hand():
    """Two classes, 512 voxels; what scalars the loss has is not counted, only that they are few."""
    weights, channel = 4 * (4 + 8), 4 * VOXELS
    found = memory_of(TwoLayered(), 1, 2, PATCH, batch=1)
    assert found.weights == weights
    assert found.inference == weights + (1 + 4 + 4) * channel  # image, before and after the sigmoid
    batch = channel + VOXELS  # labels have one byte
    network = (4 + 2) * channel  # the sigmoid's output, the logits
    # Cross-entropy keeps the log-softmax and the labels in 8 bytes, Dice the softmax and the mask.
    loss = 2 * channel + 8 * VOXELS + 2 * channel + 2 * channel
    kept = batch + network + loss
    assert 0 <= found.activations - kept < 64
    # The backward pass begins with the gradient of the log-softmax, while all is there. The
    # gradients of the weights are not yet, their moments are.
    assert 0 <= found.training - (3 * weights + kept + 2 * channel) < 64


def test_adamw_keeps_two_moments_and_changes_the_weights_one_after_the_other():
    """Where there is nothing but weights: those, their gradients, two moments, and on a CPU two
    more of the largest; CUDA's fused kernel keeps no tensor of its own."""
    one, weights = 4 * 512**2, 4 * (2 * 512**2 + 1)
    for device, more in (("cpu", 2 * one), ("cuda", 0)):
        found = memory_of(Weighty(), 1, 2, PATCH, batch=1, device=device)
        maps = found.training - 4 * weights - more
        assert 0 < maps < 64 * VOXELS
        assert found.weights == weights


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_keeps_two_moments(optimizer):
    assert TrainConfig(patch=PATCH, optimizer=optimizer).moments == 2


@pytest.mark.parametrize(("momentum", "moments"), [(0.9, 1), (0.0, 0)])
def test_sgd_keeps_one_moment_or_none_as_a_real_step_does(momentum, moments):
    """Without momentum it has one temporary tensor less."""
    keys = {"optimizer": "sgd", "momentum": momentum}
    config = TrainConfig(patch=PATCH, batch=1, epochs=1, steps_per_epoch=2, **keys)
    assert config.moments == moments
    found, adam = (
        memory_of(Weighty(), 1, 2, PATCH, batch=1, moments=n).training for n in (moments, 2)
    )
    one, weights = 4 * 512**2, 4 * (2 * 512**2 + 1)
    assert adam - found == (2 - moments) * weights
    real = measured_peak(Weighty(), 1, 2, config, torch.device("cpu"))
    assert abs(found - real) < (0.1 if moments else 1.1) * one


def test_a_search_counts_the_moments_of_its_optimiser():
    train = TrainConfig(patch=PATCH, batch=1, optimizer="sgd")
    costs = TrainingCosts(train, Resources(), Budget(), 1, 2)
    expected = memory_of(Weighty(), 1, 2, PATCH, batch=1, moments=1)
    assert costs.memory(Weighty()) == expected.training


FAMILIES = {
    "hybrid": ("hybrid-xs", "hybrid-mamba", "hybrid-adaptive"),
    "slimformer": ("slimformer3d-tiny",),
    "token-sparse": ("stp-mta-unetr-tiny",),
    "apformer": ("apformer-xs", "apformer-3d-xs"),
    "lightmedseg": ("lightmedseg-small",),
    "deploylite": ("deploylite-xs",),
    "baselines": ("unet-s", "segresnet-s"),
}

QUICK = ("unet-s", "hybrid-xs", "apformer-xs")


def some_quick(*families):
    """All presets; three unlike each other are tried in every run of the tests."""
    names = [name for family in families for name in family]
    return and_slow(
        [name for name in names if name in QUICK], [name for name in names if name not in QUICK]
    )


needs_avx512 = pytest.mark.skipif(
    "AVX512" not in torch.backends.cpu.get_cpu_capability(), reason="oneDNN works otherwise there"
)


@pytest.fixture
def threads():
    """Sets the number of threads."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def ratio(preset: str, precision: str = "fp32", threads: int = 1, **loss) -> float:
    """Estimated by measured."""
    config = TrainConfig(
        patch=(16, 24, 16),
        batch=2,
        epochs=1,
        steps_per_epoch=2,
        precision=precision,
        loss=LossConfig(**loss),
    )
    found = memory_of(
        find_preset(preset),
        1,
        3,
        config.patch,
        batch=2,
        precision=precision,
        loss=config.loss,
        threads=threads,
    )
    real = measured_peak(find_preset(preset), 1, 3, config, torch.device("cpu"))
    return found.training / real


@pytest.mark.parametrize("preset", some_quick(*FAMILIES.values()))
def test_the_estimate_is_within_a_fifth_of_what_a_real_step_takes(preset, threads):
    threads(1)
    assert 0.8 < ratio(preset) < 1.2


@needs_avx512
@pytest.mark.parametrize(
    "preset", some_quick(("unet-s", "hybrid-xs", "lightmedseg-small", "stp-mta-unetr-tiny"))
)
def test_so_it_is_in_bfloat16(preset, threads):
    threads(1)
    # Tiles of bfloat16 take less than the estimate has for convolutions without them.
    most = 1.4 if torch.cpu._is_amx_tile_supported() else 1.2
    assert 0.8 < ratio(preset, "bf16") < most


@pytest.mark.slow
@needs_avx512
def test_so_it_is_with_two_threads_where_convolutions_take_more(threads):
    threads(2)
    assert 0.8 < ratio("hybrid-xs", threads=2) < 1.2
    assert ratio("hybrid-xs", threads=1) < 0.75


@pytest.mark.slow
def test_so_it_is_with_another_loss(threads):
    threads(1)
    assert 0.8 < ratio("hybrid-xs", boundary=0.5, class_weights="inverse") < 1.2


def test_so_it_is_with_deep_supervision_and_a_teacher(threads):
    """A teacher much larger than the network, and heads on two stages."""
    threads(1)
    config = TrainConfig(patch=(16, 24, 16), batch=2, epochs=1, steps_per_epoch=2)
    student, teacher = find_preset("hybrid-xs"), find_preset("unet-s")
    device = torch.device("cpu")

    def terms(network):
        taught_by = teacher.build(1, 3)
        passes = partial(autocast, config, device)
        return [
            DeepSupervision(network, 3, segmentation_loss()),
            Distillation(taught_by, DistillationConfig(), passes),
        ]

    one = partial(memory_of, student, 1, 3, config.patch, batch=2)
    found = one(deep_supervision=True, teacher=teacher)
    real = measured_peak(student, 1, 3, config, device, terms)
    assert 0.8 < found.training / real < 1.2
    assert one().training < 0.8 * real
    assert one(teacher=teacher).activations > one().activations
    assert one(deep_supervision=True).activations > one().activations
    assert (found.weights, found.inference) == (one().weights, one().inference)


def test_a_teacher_has_weights_and_neither_gradients_nor_moments():
    alone, taught = (
        memory_of(TwoLayered(), 1, 2, PATCH, batch=1, teacher=teacher)
        for teacher in (None, Weighty())
    )
    maps = taught.training - alone.training - 4 * (2 * 512**2 + 1)
    assert 0 < maps < 64 * VOXELS


def test_so_it_is_with_all_that_a_recipe_adds(threads):
    threads(1)
    config = TrainConfig(
        patch=(16, 24, 16), batch=2, epochs=1, steps_per_epoch=2, ema=0.9, deep_supervision=True
    )
    architecture = replace(find_preset("hybrid-xs"), width=32)
    one = partial(memory_of, architecture, 1, 3, config.patch, batch=2)
    found = one(ema=True, deep_supervision=True)
    real = measured_peak(architecture, 1, 3, config, torch.device("cpu"))
    assert 0.8 < found.training / real < 1.2
    assert one(ema=True).training == one().training + one().weights
    assert found.training > one(ema=True).training > one().training
    assert (found.weights, found.inference) == (one().weights, one().inference)


def test_deep_supervision_of_a_network_without_stages_costs_nothing():
    without, asked = (
        memory_of(TwoLayered(), 1, 2, PATCH, batch=1, deep_supervision=asked)
        for asked in (False, True)
    )
    assert asked == without


@pytest.mark.slow
@pytest.mark.parametrize("preset", all_presets())
def test_the_memory_of_every_preset_is_known(preset):
    architecture = all_presets()[preset]
    stride = architecture.stride()
    patch = (2 * stride, stride, stride)
    for precision, device in (("fp32", "cpu"), ("bf16", "cuda")):
        found = memory_of(architecture, 1, 3, patch, batch=2, precision=precision, device=device)
        assert 0 < found.weights < found.inference < found.training
        assert found.activations < found.training


def test_a_network_of_images_may_be_given_images():
    architecture = find_preset("apformer-xs")
    images = memory_of(architecture, 1, 3, (24, 16), batch=32)
    slices = memory_of(architecture, 1, 3, (16, 24, 16), batch=2)
    assert images.activations == pytest.approx(slices.activations, rel=0.05)
    assert images.inference < slices.inference


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_computed_again_is_not_kept(precision):
    """Nine layers, of which only the ends remain."""
    kept, again = (
        memory_of(made, 1, 2, (16, 16, 16), batch=1, precision=precision)
        for made in (Plain(), Again())
    )
    assert again.activations < 0.5 * kept.activations
    assert again.training <= kept.training  # all nine at once are there again
    assert again.inference == kept.inference


def test_bfloat16_halves_the_activations_and_not_the_weights():
    architecture = find_preset("unet-s")
    wide, narrow = (
        memory_of(architecture, 1, 3, (32, 32, 32), batch=2, precision=precision)
        for precision in ("fp32", "bf16")
    )
    assert narrow.weights == wide.weights
    assert 0.5 < narrow.activations / wide.activations < 0.75  # the loss stays in float32


def test_memory_grows_with_the_batch_and_the_weights_do_not():
    found = [memory_of(find_preset("hybrid-xs"), 1, 3, (16, 16, 16), batch=b) for b in (1, 2, 4)]
    assert found[0].weights == found[2].weights
    assert found[0].inference == found[2].inference
    more = [b.activations - a.activations for a, b in pairwise(found)]
    assert more[1] == pytest.approx(2 * more[0], rel=0.01)


def test_asking_again_builds_nothing(monkeypatch):
    architecture = find_preset("hybrid-s")
    first = memory_of(architecture, 1, 3, (16, 16, 16), batch=1)

    def built(*_):
        raise AssertionError("built again")

    monkeypatch.setattr(memory, "build_on_meta", built)
    assert memory_of(architecture, 1, 3, [16, 16, 16], batch=1) is first
    same = replace(find_preset("hybrid-s"))
    assert memory_of(same, 1, 3, (16, 16, 16), batch=1) == first
    with pytest.raises(AssertionError, match="built again"):
        memory_of(architecture, 1, 3, (16, 16, 16), batch=2)


def test_memory_is_plain_bytes():
    found = memory_of(find_preset("hybrid-xs"), 1, 3, (16, 16, 16), batch=1)
    assert all(type(value) is int for value in vars(found).values())
    assert isinstance(found, Memory)
