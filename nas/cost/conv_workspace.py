"""The memory that a convolution takes for itself while it works: its tensors in another layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from nas.cost.meta_autocast import Device
from nas.cost.meta_cache import has_channels_last

aten = torch.ops.aten
BLOCK = 16  # channels that oneDNN puts side by side with AVX-512; the last block is filled up


def scratch(operator: Any, args: Sequence[Any], device: Device, threads: int) -> int:
    """Bytes beside what goes in and what comes out, 0 for anything but a convolution.

    Where one of its tensors has the channels last, all are copied to that layout. Elsewhere cuDNN
    takes them as they are, and oneDNN, on a CPU, copies them to blocks of channels unless they are
    in groups. Of 1^n kernels in float32 it is asked only where there are several threads.
    """
    if operator is aten.convolution.default:
        image, weight, groups = args[0], args[1], args[8]
        images = [image]
    elif operator is aten.convolution_backward.default:
        gradient, image, weight, groups = args[0], args[1], args[2], args[9]
        images = [gradient, image]
    else:
        return 0
    if has_channels_last(image) or has_channels_last(weight):
        layout = torch.channels_last_3d if image.dim() == 5 else torch.channels_last
        return sum(t.nbytes for t in images if not t.is_contiguous(memory_format=layout))
    pointwise = all(length == 1 for length in weight.shape[2:])
    wide = image.dtype == torch.float32
    if device != "cpu" or groups > 1 or (pointwise and threads == 1 and wide):
        return 0
    blocks = sum(map(_blocked, images))
    if wide or len(images) == 1:
        return blocks
    # The gradient of narrow types: every thread adds up one image in float32, before what comes
    # out is there in its own layout.
    sums = threads * _blocked(image) // len(image) * 4 // image.element_size()
    return blocks + max(sums - image.nbytes, 0)


def _blocked(t: torch.Tensor) -> int:
    channels = -(-t.shape[1] // BLOCK) * BLOCK
    return t.nbytes // t.shape[1] * channels
