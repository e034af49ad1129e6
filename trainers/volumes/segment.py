"""A prepared image through a network to labels of the file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from .errors import UserError
from .preprocess import Prepared
from .readable import check_room
from .restore import restore, restore_slabs
from .steps import Postprocess
from .targets import Targets
from .windows import SlabInferer

WHOLE = 2**30  # bytes of logits that are held at once; of larger volumes it is a slab


def segment(
    prepared: Prepared,
    network: nn.Module,
    inferer: SlabInferer,
    targets: Targets,
    name: str,
    probabilities: np.ndarray | None = None,
    steps: Postprocess | None = None,
) -> np.ndarray:
    """The labels of an image in the shape of its file, in the smallest unsigned type.

    `network` is in eval mode; `targets`: what its logits stand for. `probabilities`: as in
    `restore`; `steps`: what is done with the labels afterwards. Raises UserError, which says
    `name`, where the logits that are held at once would take more memory than is free: all of them
    or, over `WHOLE`, of a slab that is one window thick; and where logits are not `finite`.
    """
    labels = _labels(prepared, network, inferer, targets, name, probabilities)
    if not steps:
        return labels
    from .postprocess import postprocess  # SciPy, which a bundle without steps does without

    return postprocess(labels, prepared.native.affine, targets.classes, steps)


def _labels(
    prepared: Prepared,
    network: nn.Module,
    inferer: SlabInferer,
    targets: Targets,
    name: str,
    probabilities: np.ndarray | None,
) -> np.ndarray:
    device = next(network.parameters()).device
    shape, axis = list(prepared.grid.shape), inferer.across(prepared.grid.shape)
    by_slab = _size(targets.outputs, shape) > WHOLE
    if by_slab:
        shape[axis] = min(shape[axis], inferer.patch[axis])
    check_logits(name, targets, shape)
    if by_slab:
        slabs = finite(inferer.slabs(prepared.image, network, axis, device), name)
        return restore_slabs(slabs, axis, prepared, targets, probabilities)
    [logits] = finite([inferer.logits(prepared.image, network, device)], name)
    return restore(logits.cpu().numpy(), prepared, targets, probabilities)


def finite(slabs: Iterable[torch.Tensor], name: str) -> Iterator[torch.Tensor]:
    """The slabs of logits, each when it is asked for.

    Raises UserError, which says `name`, for one whose numbers are not all finite: NaN is larger
    than nothing, and would be background.
    """
    for slab in slabs:
        if not (slab.sum().isfinite() or slab.isfinite().all()):  # a sum takes no memory
            raise UserError(
                f"{name}: the network's logits are not all finite; look at the image's "
                "intensities, and use fp32 where the network is in half precision"
            )
        yield slab


def check_logits(name: str, targets: Targets, shape: Sequence[int]) -> None:
    """Raises UserError where logits (outputs, *shape) would take more memory than is free."""
    what = f"{targets.outputs} {'regions' if targets.regions else 'classes'}"
    size = _size(targets.outputs, shape)
    check_room(size, f"{name}: {what} of {' x '.join(map(str, shape))}")


def _size(outputs: int, shape: Sequence[int]) -> float:
    """Bytes of float32 logits."""
    return 4.0 * outputs * math.prod(shape)
