"""From one preprocessed volume to logits, window by window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import nn


def go_on() -> None:
    """The pause of who waits for nobody."""


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


@torch.inference_mode()
def predict_logits(
    network: nn.Module,
    image: np.ndarray,
    patch: tuple[int, int, int],
    overlap: float,
    pause: Callable[[], None] = go_on,
    windows: int = 2,
) -> torch.Tensor:
    """Sliding-window logits of one volume, windows blended by a Gaussian.

    image: (C_in, D, H, W) of any size; smaller ones are padded to the patch. `network` is expected
    in eval mode and gets `windows` at a time, the last pass maybe fewer: by twos, since torch takes
    small float32 convolutions of a single image on a slow CPU path. `pause` is called before every
    pass. Returns (C_cls, D, H, W) float32 on the network's device.
    """

    def after_pause(batch: torch.Tensor) -> torch.Tensor:
        pause()
        return network(batch)

    device = next(network.parameters()).device
    x = torch.from_numpy(np.array(image))[None].to(device)
    logits = sliding_window_inference(
        x, patch, sw_batch_size=windows, predictor=after_pause, overlap=overlap, mode="gaussian"
    )
    assert isinstance(logits, torch.Tensor)
    return logits[0].float()
