"""From one preprocessed volume to logits, window by window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
import torch
from torch import nn

from trainers.volumes.windows import SlabInferer


def no_pause() -> None:
    """The default `pause`: it does not wait."""


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

    (B, C_in, D, H, W) -> (B, C_cls, D, H, W) float32, whose softmax is that mean.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        votes = torch.stack([network(x).float().log_softmax(1) for network in self.networks])
        return votes.logsumexp(0) - math.log(len(self.networks))


def predict_logits(
    network: nn.Module,
    image: np.ndarray,
    patch: tuple[int, int, int],
    overlap: float,
    pause: Callable[[], None] = no_pause,
    windows: int = 2,
) -> torch.Tensor:
    """Sliding-window logits of one volume, windows blended by a Gaussian.

    image: (C_in, D, H, W) of any size; smaller ones are padded to the patch. `network` is expected
    in eval mode and gets `windows` at a time (`SlabInferer`). `pause` is called before every pass.
    Returns (C_cls, D, H, W) float32 on the network's device.
    """

    def after_pause(batch: torch.Tensor) -> torch.Tensor:
        pause()
        return network(batch)

    device = next(network.parameters()).device
    return SlabInferer(patch, overlap, windows).logits(image, after_pause, device)


@torch.inference_mode()
def predict_each(
    network: nn.Module,
    images: Iterable[np.ndarray],
    patch: tuple[int, int, int],
    overlap: float,
    pause: Callable[[], None] = no_pause,
    windows: int = 2,
) -> Iterator[torch.Tensor]:
    """The `predict_logits` of every image, in order.

    Images that fit into the patch, one window each, are taken `windows` at a time.
    """
    small: list[np.ndarray] = []
    for image in images:
        fits = all(size <= limit for size, limit in zip(image.shape[1:], patch, strict=True))
        if fits:
            small.append(image)
        if small and (not fits or len(small) == windows):
            yield from _one_window_each(network, small, patch, pause)
            small = []
        if not fits:
            yield predict_logits(network, image, patch, overlap, pause, windows)
    if small:
        yield from _one_window_each(network, small, patch, pause)


def _one_window_each(
    network: nn.Module,
    images: Sequence[np.ndarray],
    patch: tuple[int, int, int],
    pause: Callable[[], None],
) -> Iterator[torch.Tensor]:
    """Images in the middle of a window of zeros, as MONAI pads them, in one pass."""
    device = next(network.parameters()).device
    margins = [[(p - n) // 2 for p, n in zip(patch, i.shape[1:], strict=True)] for i in images]
    batch = torch.zeros(len(images), images[0].shape[0], *patch)
    insides = [
        (..., *(slice(m, m + n) for m, n in zip(margin, image.shape[1:], strict=True)))
        for margin, image in zip(margins, images, strict=True)
    ]
    for window, image, inside in zip(batch, images, insides, strict=True):
        window[inside] = torch.from_numpy(np.array(image))
    pause()
    for logits, inside in zip(network(batch.to(device)), insides, strict=True):
        yield logits[inside].float()
