"""Kernels, bytes and MACs of a pass as CUDA runs it eagerly, counted on the meta device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import get_gradient_edge
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas.cost.meta_autocast import OnDevice
from nas.cost.meta_cache import compute, has_channels_last
from search_spaces.meta_network import build_on_meta
from search_spaces.space import Architecture
from trainers.losses import segmentation_loss
from trainers.step import channels_last
from trainers.training_pass import TrainingPass

CHANNELS, CLASSES = 1, 3
BYTES_A_SECOND = 4.3e12  # a copy on an NVIDIA H200, measured
MACS_A_SECOND = {torch.bfloat16: 390e12, torch.float32: 33e12}  # the same card; without TF32

FREE = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view"}
# Launches of operators with more than one, by torch 2.13's CUDA sources; convolutions are beside.
LAUNCHES = {
    "native_group_norm": 3,
    "native_group_norm_backward": 5,
    "native_batch_norm": 4,
    "native_layer_norm_backward": 3,
    "sort": 6,
    "argsort": 6,
    "topk": 4,
    "scatter": 2,
    "nll_loss_nd": 2,
    "nll_loss2d_forward": 2,
    "nll_loss2d_backward": 2,
    "embedding_dense_backward": 3,
    "index_put_": 3,
    "cumsum": 2,
    "_scaled_dot_product_flash_attention_for_cpu_backward": 3,  # CUDA's own has as many
}
# How often a norm goes through its largest tensor.
TRAVERSALS = {
    "native_group_norm": 3,
    "native_group_norm_backward": 5,
    "native_batch_norm": 3,
    "native_batch_norm_backward": 5,
}


@dataclass(frozen=True)
class Counts:
    """`copies`: those of the kernels that only bring a convolution's input into its layout.

    `roofline_ms`: what bytes or products of every operator take at least on an NVIDIA H200.
    """

    kernels: int
    copies: int
    gigabytes: float
    gigamacs: float
    roofline_ms: float


class Census(TorchDispatchMode):
    """Counts the operators within it. Tensors are on the meta device; views cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = self.copies = 0
        self.bytes = self.macs = self.seconds = 0.0

    @property
    def counts(self) -> Counts:
        """What was counted so far."""
        figures = self.bytes / 1e9, self.macs / 1e9, 1e3 * self.seconds
        return Counts(self.kernels, self.copies, *(round(figure, 4) for figure in figures))

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = compute(func, args, kwargs or {})
        tensors = _tensors((args, kwargs, made))
        name = func._schema.name.partition("::")[2]
        if not func.is_view and name not in FREE and any(t.is_meta for t in tensors):
            self._add(name, args, tensors, _tensors(made))
        return made

    def _add(
        self,
        name: str,
        args: Sequence[Any],
        tensors: Sequence[torch.Tensor],
        made: Sequence[torch.Tensor],
    ) -> None:
        if name == "convolution":
            image, weight, bias, transposed = args[0], args[1], args[2], args[6]
            self._lay_out(weight, image)
            macs = _convolution_macs(image if transposed else made[0], weight)
            more = 2 * _bytes(made[0]) if bias is not None else 0  # it is added afterwards
            self._note(1 + (bias is not None), _all_bytes(tensors) + more, macs, image.dtype)
        elif name == "convolution_backward":
            gradient, image, weight, transposed, wanted = *args[:3], args[7], args[10]
            self._lay_out(weight, gradient, image)
            macs = _convolution_macs(image if transposed else gradient, weight) * sum(wanted[:2])
            passes = _bytes(gradient) * sum(wanted)
            passes += (_bytes(image) + _bytes(weight)) * sum(wanted[:2])
            self._note(sum(wanted), passes, macs, image.dtype)
        else:
            largest = max(tensors, key=_bytes)
            size = _all_bytes(tensors)
            if name in TRAVERSALS:
                size = TRAVERSALS[name] * _bytes(largest)
            macs = _product_macs(name, args)
            self._note(LAUNCHES.get(name, 1), size, macs, largest.dtype)

    def _lay_out(self, weight: torch.Tensor, *images: torch.Tensor) -> None:
        """The copies that cuDNN needs where one of the tensors has the channels last."""
        if weight.dim() != 5 or not any(map(has_channels_last, (weight, *images))):
            return
        for image in images:
            if not image.is_contiguous(memory_format=torch.channels_last_3d):
                self.copies += 1
                self._note(1, 2 * _bytes(image), 0, image.dtype)

    def _note(self, kernels: int, size: float, macs: float, dtype: torch.dtype) -> None:
        self.kernels, self.bytes, self.macs = (
            self.kernels + kernels,
            self.bytes + size,
            self.macs + macs,
        )
        rate = MACS_A_SECOND.get(dtype, MACS_A_SECOND[torch.float32])
        self.seconds += max(size / BYTES_A_SECOND, macs / rate)


def training_counts(architecture: Architecture, size: Sequence[int], batch: int) -> Counts:
    """Forward, loss and backward of the trainer's step in bf16.

    Clipping and AdamW are some 24 kernels more, whatever the network.
    """
    network = channels_last(build_on_meta(architecture, CHANNELS, CLASSES)).train()
    computing = partial(OnDevice, "cuda", torch.bfloat16)
    one_pass = TrainingPass(network, segmentation_loss(), (), computing)
    labels = torch.empty((batch, 1, *size), dtype=torch.uint8, device="meta")
    layout = torch.channels_last_3d if len(size) == 3 else torch.channels_last
    images = _image(batch, size).contiguous(memory_format=layout)
    with Census() as census:
        with OnDevice("cuda"):
            loss = one_pass(images, labels)
        with computing():  # for what is computed again
            torch.autograd.backward(get_gradient_edge(loss), torch.ones_like(loss))
    return census.counts


@torch.no_grad()
def inference_counts(architecture: Architecture, size: Sequence[int]) -> Counts:
    """A pass of one float32 image, as `segnas latency` measures it."""
    network: nn.Module = build_on_meta(architecture, CHANNELS, CLASSES).eval()
    with Census() as census, OnDevice("cuda"):
        network(_image(1, size))
    return census.counts


def _image(batch: int, size: Sequence[int]) -> torch.Tensor:
    return torch.empty((batch, CHANNELS, *size), device="meta")


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _bytes(t: torch.Tensor) -> int:
    """Of expanded tensors what there is in memory."""
    lengths = (n for n, step in zip(t.shape, t.stride(), strict=True) if step > 0)
    return min(t.numel(), math.prod(lengths)) * t.element_size()


def _all_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Each once."""
    return sum(map(_bytes, {id(t): t for t in tensors}.values()))


def _convolution_macs(places: torch.Tensor, weight: torch.Tensor) -> int:
    """`places`: where the kernel is laid, the output's or, if transposed, the input's voxels."""
    return places.numel() // places.shape[1] * weight.numel()


def _product_macs(name: str, args: Sequence[Any]) -> float:
    if name in ("mm", "bmm"):
        return float(args[0].numel() * args[1].shape[-1])
    if name in ("addmm", "baddbmm"):
        return float(args[1].numel() * args[2].shape[-1])
    if "scaled_dot_product" in name:
        backward = name.endswith("backward")
        query, key = args[backward : 2 + backward]
        return float(query.numel() * key.shape[-2] * (5 if backward else 2))
    return 0.0
