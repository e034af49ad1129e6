"""An average of a network's weights over its training."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Tensors = list[torch.Tensor] | tuple[torch.Tensor, ...]


def weight_average(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of `network`, in eval mode, that `update_parameters(network)` moves after each step.

    Its weights are `d * average + (1 - d) * weights`, the first time the weights themselves. After
    n updates d = min(decay, (1 + n) / (10 + n)), as in TensorFlow's ExponentialMovingAverage, so
    that the first weights are soon forgotten in a short training. Buffers, such as the running
    means of batch norm, are the network's own of that step: they are averages already, and indices
    must not be averaged.
    """

    def update(averages: Tensors, weights: Tensors, count: torch.Tensor | int) -> None:
        get_ema_multi_avg_fn(decay_after(int(count), decay))(averages, weights, count)

    return AveragedModel(network, multi_avg_fn=update).eval()


def decay_after(updates: int, decay: float) -> float:
    """The decay of the update that follows `updates` others; see `weight_average`."""
    return min(decay, (1 + updates) / (10 + updates))
