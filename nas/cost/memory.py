"""The memory that training and using a network takes, known without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.autograd.graph import get_gradient_edge

from nas.cost.conv_workspace import scratch
from nas.cost.live_tensors import LiveTensors
from nas.cost.meta_autocast import Device, OnDevice
from nas.cost.meta_cache import compute
from nas.cost.remember import remember
from search_spaces.meta_network import build_on_meta
from search_spaces.space import Architecture
from trainers.config import DistillationConfig, LossConfig
from trainers.deep_supervision import deep_supervision as supervise
from trainers.distillation import Distillation
from trainers.losses import segmentation_loss
from trainers.step import channels_last
from trainers.training_pass import TrainingPass
from trainers.volumes.targets import Targets

Precision = Literal["fp32", "bf16", "fp16"]

_NARROW = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Memory:
    """Bytes.

    `weights`: parameters and buffers. `activations`: kept from the forward to the backward pass of
    one training batch, the batch and the loss's own tensors included. `training`: the peak of a
    training step but the first: weights, gradients, the optimiser's moments, activations and what
    is there for a moment only. `inference`: weights and the peak of a pass of batch 1 in eval mode.
    """

    weights: int
    activations: int
    training: int
    inference: int


@remember
def memory_of(
    architecture: Architecture,
    in_channels: int,
    out_channels: int,
    patch: Sequence[int],
    *,
    batch: int,
    precision: Precision = "fp32",
    loss: LossConfig | None = None,
    device: Device = "cpu",
    threads: int = 1,
    ema: bool = False,
    deep_supervision: bool = False,
    teacher: Architecture | None = None,
    recompute: bool | None = None,
    targets: Targets | None = None,
    moments: int = 2,
) -> Memory:
    """The memory of `architecture` on patches (D, H, W), or (H, W) where it takes images.

    `device`: what it trains on, with so many `threads` of a CPU. A step as the trainer makes it,
    and a pass in eval mode, run on the meta device, where tensors have sizes and no values; what
    lives is added up, and the copies that convolutions make (`conv_workspace`). `ema`: their
    average lies beside the weights. With `deep_supervision`, where the network offers stages, and
    with a `teacher` the step has their terms. These add to `activations` and `training` only.
    `recompute`: what a network that offers it is told; None leaves it to its own rule. `targets`:
    what the logits stand for, as in `segmentation_loss`. `moments`: how many the optimiser keeps of
    each weight, AdamW's two unless told otherwise. Not in it: other memory that kernels take
    while they work, and what an allocator keeps in reserve. Where the input decides how many
    queries are computed, all are. The same arguments again cost nothing.
    """
    loss, narrow = loss or LossConfig(), _NARROW[precision]
    network = channels_last(build_on_meta(architecture, in_channels, out_channels))
    if recompute is not None and hasattr(network, "recompute"):
        network.recompute = recompute  # type: ignore[assignment]
    criterion, computing = segmentation_loss(loss, targets), partial(OnDevice, device, narrow)
    terms: list[nn.Module] = []
    beside: list[torch.Tensor] = []  # what lies in memory besides the network
    if deep_supervision:
        terms += supervise(network, out_channels, criterion)
        beside += [weight for term in terms for weight in term.parameters()]
    if teacher is not None:
        taught_by = build_on_meta(teacher, in_channels, out_channels)
        terms.append(Distillation(taught_by, DistillationConfig(), computing, targets))
        beside += [*taught_by.parameters(), *taught_by.buffers()]
    own = [*network.parameters(), *network.buffers()]
    workspace = partial(scratch, device=device, threads=threads)
    count = partial(LiveTensors, [*own, *beside], compute, workspace)
    images = (batch, in_channels, *patch)
    one_pass = TrainingPass(network, criterion, terms, computing)
    activations, training = _training_step(one_pass, images, device, count, moments)
    network.eval()
    with torch.no_grad(), count() as live, OnDevice(device, narrow):
        network(_batch((1, *images[1:])))
    weights = _bytes(own)
    lying = weights * (2 if ema else 1) + _bytes(beside)
    return Memory(weights, activations, lying + training, weights + live.peak)


def _training_step(
    one_pass: TrainingPass,
    shape: tuple[int, ...],
    device: Device,
    count: Callable[[], LiveTensors],
    moments: int,
) -> tuple[int, int]:
    """Bytes beside the weights: kept from the forward to the backward pass, and the most ever.

    The step is `Trainer._step`. Until the loss is there, the gradients of the step before are too.
    """
    one_pass.train()
    logits: list[torch.Tensor] = []  # counted until the end, as part of the activations
    hook = one_pass.network.register_forward_hook(lambda _, __, output: logits.append(output))
    with hook, count() as live:
        images = _batch(shape)
        labels = torch.empty((shape[0], 1, *shape[2:]), dtype=torch.uint8, device="meta")
        with OnDevice(device):
            total = one_pass(images, labels)
        kept, forward, live.peak = live.now, live.peak, live.now
        with one_pass.autocast():  # for what is computed again
            _backward(total)
        backward, after = live.peak, live.now
    trained = [p.grad for p in one_pass.parameters() if p.grad is not None]
    gradients = _bytes(trained)
    update = 0 if device == "cuda" else 2 * max(map(_size, trained), default=0)
    one_pass.zero_grad(set_to_none=True)
    return kept, moments * gradients + max(gradients + forward, backward, after + update)


def _backward(loss: torch.Tensor) -> None:
    """Not `loss.backward()`: what is computed again in it would be out of reach for a mode that
    changes functions."""
    torch.autograd.backward(get_gradient_edge(loss), torch.ones_like(loss))


def _batch(shape: tuple[int, ...]) -> torch.Tensor:
    layout = torch.channels_last_3d if len(shape) == 5 else torch.channels_last
    return torch.empty(shape, device="meta").contiguous(memory_format=layout)


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(map(_size, tensors))


def _size(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().nbytes()
