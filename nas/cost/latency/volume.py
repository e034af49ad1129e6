"""A whole volume, window by window, through a runner of one patch size."""

from __future__ import annotations

import torch
from torch import nn

from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.runner import Runner, example
from nas.cost.latency.timing import Pass
from trainers.inference import predict_logits


class Windows(nn.Module):
    """Any number of windows up to `batch`, as a runner that takes exactly that many.

    x: (N, C, D, H, W) float32, N <= batch -> (N, C_cls, D, H, W) float32.
    """

    def __init__(self, runner: Runner, batch: int) -> None:
        super().__init__()
        self._runner, self._batch = runner, batch
        here = torch.empty(0, device=runner.device)  # tells `predict_logits` where to work
        self.here = nn.Parameter(here, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        missing = self._batch - len(x)
        full = torch.cat([x, x.new_zeros((missing, *x.shape[1:]))]) if missing else x
        return self._runner.forward(full.to(self._runner.dtype)).float()[: len(x)]


def volume_pass(runner: Runner, channels: int, config: LatencyConfig) -> Pass:
    """One sliding-window prediction of a random volume in the host's memory, to logits."""
    assert config.volume is not None and config.patch is not None
    image = example((channels, *config.volume)).numpy()
    windows, patch = Windows(runner, config.batch), config.patch

    def predict() -> torch.Tensor:
        return predict_logits(windows, image, patch, config.overlap, windows=config.batch)

    return lambda: runner.stopwatch(predict)
