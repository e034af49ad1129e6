"""An average of a network's weights over its training."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def weight_average(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of `network`, in eval mode, that `update_parameters(network)` moves after each step.

    Its weights are `d * average + (1 - d) * weights`, the first time the weights themselves. After
    n updates d = min(decay, (1 + n) / (10 + n)), as in TensorFlow's ExponentialMovingAverage, so
    that the first weights are soon forgotten in a short training. Buffers, such as the running
    means of batch norm, are the network's own of that step: they are averages already, and indices
    must not be averaged.
    """

    return _WeightAverage(network, decay).eval()


class _WeightAverage(AveragedModel):
    """torch's own `update_parameters` copies its count to the GPU, and so waits for it."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network)
        self._decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        updates = int(self.n_averaged)  # on the CPU
        decay = decay_after(updates, self._decay) if updates else 0.0
        averages, weights = list(self.module.parameters()), list(model.parameters())
        get_ema_multi_avg_fn(decay)(averages, weights, updates)
        for average, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
        self.n_averaged += 1


def decay_after(updates: int, decay: float) -> float:
    """The decay of the update that follows `updates` others; see `weight_average`."""
    return min(decay, (1 + updates) / (10 + updates))
