"""The memory layout of a network's weights and images."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import torch
from torch import nn

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
LAYOUTS = torch.channels_last_3d, torch.contiguous_format
ROUNDS = 3
PASSES = 3  # in a round


def channels_last(network: nn.Module) -> nn.Module:
    """Twice as fast backwards as the default layout on a CPU, and what tensor cores want."""
    return laid_out(network, torch.channels_last_3d)


def laid_out(network: nn.Module, layout: torch.memory_format) -> nn.Module:
    """The network, its kernels with channels last, or as torch makes them (`contiguous_format`)."""
    for parameter in network.parameters():
        if last := CHANNELS_LAST.get(parameter.dim()):
            own = layout if layout == torch.contiguous_format else last
            parameter.data = parameter.data.contiguous(memory_format=own)
    return network


def choose_layout(
    one_pass: nn.Module, shape: Sequence[int], device: torch.device
) -> torch.memory_format:
    """The one of `LAYOUTS` in which a pass takes less time; `one_pass` then has it.

    `shape`: of the images, (B, C, *patch). Timed forwards and backwards on noise, the best of
    `ROUNDS`. Weights and buffers keep their values, random numbers their place.
    """
    buffers = [buffer.clone() for buffer in one_pass.buffers()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        images = torch.randn(*shape, device=device)
        seconds = {layout: _seconds(one_pass, images, layout) for layout in LAYOUTS}
    for buffer, value in zip(one_pass.buffers(), buffers, strict=True):
        buffer.copy_(value)
    best = min(LAYOUTS, key=lambda layout: seconds[layout])
    laid_out(one_pass, best)
    return best


def _seconds(one_pass: nn.Module, images: torch.Tensor, layout: torch.memory_format) -> float:
    laid_out(one_pass, layout)
    images = images.contiguous(memory_format=layout)
    labels = torch.zeros_like(images[:, :1], dtype=torch.uint8)

    def run() -> float:
        started = perf_counter()
        for _ in range(PASSES):
            one_pass(images, labels).backward()
            one_pass.zero_grad(set_to_none=True)
        if images.is_cuda:
            torch.cuda.synchronize(images.device)
        return perf_counter() - started

    run()  # cuDNN looks for its algorithms
    return min(run() for _ in range(ROUNDS))
