"""Convolutions of a single image on a CPU by oneDNN, which torch's own rule keeps from it.

torch (`use_mkldnn` in aten/src/ATen/native/Convolution.cpp, 2.13) asks oneDNN about float32 where
there are several images, groups, or kernels longer than 3, or where B * C * D * H > 20480. The rule
was made for images of two axes: the last axis of a volume does not count. Below it a kernel of
torch's own writes every neighbourhood out, and takes up to 16 times as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import nn
from torch.autograd.function import once_differentiable

LEAST = 2**19  # MACs below which torch's own kernel is as fast, for oneDNN copies to its layouts


@contextmanager
def onednn_for_single_images(network: nn.Module) -> Iterator[None]:
    """`use_onednn` within; afterwards the network is as before, for exports and counters."""
    changed = use_onednn(network)
    try:
        yield
    finally:
        for module in changed:
            vars(module).pop("_conv_forward", None)  # another thread may have been first


def use_onednn(network: nn.Module) -> list[nn.Conv3d]:
    """From now on 3D convolutions of a single float32 image on a CPU are oneDNN's, gradients too.

    Where torch's kernel is the faster one it stays: for kernels of one voxel, transposed and tiny
    convolutions. Returns the modules that have a `_conv_forward` of their own for it.
    """
    changed = [m for m in network.modules() if _slow_alone(m)] if _has_onednn(network) else []
    for module in changed:
        fewest = LEAST * math.prod(module.stride) / module.weight.numel()
        module._conv_forward = partial(_convolve, module, fewest)  # type: ignore[method-assign]
    return changed


def _has_onednn(network: nn.Module) -> bool:
    """AVX: elsewhere oneDNN has no fast convolution of volumes."""
    return (
        all(weight.device.type == "cpu" for weight in network.parameters())
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
        and torch.backends.cpu.get_cpu_capability().startswith("AVX")
    )


def _slow_alone(module: nn.Module) -> TypeGuard[nn.Conv3d]:
    return (
        isinstance(module, nn.Conv3d)
        and module.groups == 1
        and math.prod(module.kernel_size) > 1
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def _convolve(
    module: nn.Conv3d,
    fewest: float,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
) -> torch.Tensor:
    """In place of `module._conv_forward`; `fewest` voxels of x are worth it."""
    if (
        x.dim() != 5
        or len(x) != 1
        or not x.dtype == weight.dtype == torch.float32
        or math.prod(x.shape[2:]) < fewest
        or torch.is_autocast_enabled("cpu")
    ):
        return nn.Conv3d._conv_forward(module, x, weight, bias)
    geometry = module.padding, module.stride, module.dilation
    if not torch.is_grad_enabled():
        return torch.ops.aten.mkldnn_convolution(x, weight, bias, *geometry, 1)
    result: torch.Tensor = _SingleImage.apply(x, weight, bias, *geometry)
    return result


class _SingleImage(torch.autograd.Function):
    """Its gradients are those of two images, one of them zero: so they are oneDNN's as well."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *geometry: Sequence[int],
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return torch.ops.aten.mkldnn_convolution(x, weight, bias, *geometry, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        padding, stride, dilation = ctx.geometry
        two, gradients = (torch.cat([t, torch.zeros_like(t)]) for t in (x, gradient))
        of_x, *others = torch.ops.aten.convolution_backward(
            gradients,
            two,
            weight,
            [len(weight)],
            stride,
            padding,
            dilation,
            False,
            [0] * len(stride),
            1,
            ctx.needs_input_grad[:3],
        )
        return of_x if of_x is None else of_x[:1], *others, None, None, None
