"""A prepared image through a network to labels of the file."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import nn

from .preprocess import Prepared
from .readable import check_room
from .restore import restore, restore_slabs
from .windows import SlabInferer

WHOLE = 2**30  # bytes of logits that are held at once; of larger volumes it is a slab


def segment(
    prepared: Prepared, network: nn.Module, inferer: SlabInferer, classes: int, name: str
) -> np.ndarray:
    """The labels of an image in the shape of its file, in the smallest unsigned type.

    `network` is in eval mode. Raises UserError, which says `name`, where the logits that are held
    at once would take more memory than is free: all of them or, over `WHOLE`, of a slab that is one
    window thick.
    """
    device = next(network.parameters()).device
    shape, axis = list(prepared.grid.shape), inferer.across(prepared.grid.shape)
    by_slab = _size(classes, shape) > WHOLE
    if by_slab:
        shape[axis] = min(shape[axis], inferer.patch[axis])
    check_logits(name, classes, shape)
    if by_slab:
        slabs = inferer.slabs(prepared.image, network, axis, device)
        return restore_slabs(slabs, axis, classes, prepared)
    return restore(inferer.logits(prepared.image, network, device).cpu().numpy(), prepared)


def check_logits(name: str, classes: int, shape: Sequence[int]) -> None:
    """Raises UserError where logits (classes, *shape) would take more memory than is free."""
    check_room(_size(classes, shape), f"{name}: {classes} classes of {' x '.join(map(str, shape))}")


def _size(classes: int, shape: Sequence[int]) -> float:
    """Bytes of float32 logits."""
    return 4.0 * classes * math.prod(shape)
