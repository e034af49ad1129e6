"""A copy of a network to measure or to export."""

from __future__ import annotations

import copy

import torch
from torch import nn


def evaluated(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights need no gradient; the network itself is left as it is.

    Tensors that a training pass left in a module for the loss belong to an autograd graph, which
    cannot be copied: the copy has their values without it.
    """
    left = [
        value
        for module in network.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    ]
    values = {id(tensor): tensor.detach().clone() for tensor in left}
    return copy.deepcopy(network, values).eval().requires_grad_(False)
