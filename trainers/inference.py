"""From one preprocessed volume to logits, window by window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import logsigmoid

from trainers.volumes.windows import SlabInferer


def no_pause() -> None:
    """The default `pause` before a pass: it does not wait."""


class Mirrored(nn.Module):
    """The mean of a network's logits over the input and its mirror images along `axes`.

    (B, C_in, D, H, W) -> (B, C_cls, D, H, W); axis 0 is D. 2 ** len(axes) passes.
    """

    def __init__(self, network: nn.Module, axes: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        dims = [axis + 2 for axis in axes]
        self.flips = [f for n in range(len(dims) + 1) for f in combinations(dims, n)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passes = [self.network(x.flip(dims)).flip(dims) for dims in self.flips]
        return torch.stack(passes).mean(0)


class Ensemble(nn.Module):
    """The mean of several networks' softmax probabilities, as their logarithms, which are logits.

    (B, C_in, D, H, W) -> (B, C_cls, D, H, W) float32, whose softmax is that mean. With `regions`
    probabilities are sigmoids, and the logits are those of their mean.
    """

    def __init__(self, networks: Sequence[nn.Module], regions: bool = False) -> None:
        super().__init__()
        self.networks, self.regions = nn.ModuleList(networks), regions

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.regions:
            logits = torch.stack([network(x).float() for network in self.networks])
            return logsigmoid(logits).logsumexp(0) - logsigmoid(-logits).logsumexp(0)
        votes = torch.stack([network(x).float().log_softmax(1) for network in self.networks])
        return votes.logsumexp(0) - math.log(len(self.networks))


def predict_logits(
    network: nn.Module,
    image: np.ndarray,
    patch: tuple[int, int, int],
    overlap: float,
    windows: int = 2,
) -> torch.Tensor:
    """Sliding-window logits of one volume, windows blended by a Gaussian.

    image: (C_in, D, H, W) of any size; smaller ones are padded to the patch. `network` is expected
    in eval mode and gets `windows` at a time (`SlabInferer`). Returns (C_cls, D, H, W) float32 on
    the network's device.
    """
    device = next(network.parameters()).device
    return SlabInferer(patch, overlap, windows).logits(image, network, device)
